"""Layers to cores, one each: a maximum bipartite matching by shortest augmenting paths.

Edmonds & Karp 1972 with unit capacities. Layers and cores are tried in their order, so that the
cores found are those of the vendors' tools that do the same.
"""

from collections import deque
from collections.abc import Sequence


def matching(candidates: Sequence[Sequence[int]]) -> dict[int, int]:
    """Return the core of each layer, for as many layers as can have one.

    ``candidates`` lists, for each layer, the cores that it fits.
    """
    core_of: dict[int, int] = {}
    layer_on: dict[int, int] = {}
    while path := _augmenting_path(candidates, core_of, layer_on):
        for layer, core in path:
            core_of[layer] = core
            layer_on[core] = layer
    return core_of


def _augmenting_path(
    candidates: Sequence[Sequence[int]], core_of: dict[int, int], layer_on: dict[int, int]
) -> list[tuple[int, int]]:
    """Return the (layer, core) pairs that give one more layer a core, or nothing."""
    free = [layer for layer in range(len(candidates)) if layer not in core_of]
    reached_by: dict[int, int] = {}  # a core, by the layer that would like it
    seen = set(free)
    waiting: deque[tuple[str, int]] = deque(("layer", layer) for layer in free)
    while waiting:
        kind, node = waiting.popleft()
        if kind == "layer":
            for core in candidates[node]:
                if core not in reached_by and core_of.get(node) != core:
                    reached_by[core] = node
                    waiting.append(("core", core))
        elif node not in layer_on:
            return _path_to(node, reached_by, core_of)
        elif layer_on[node] not in seen:
            seen.add(layer_on[node])
            waiting.append(("layer", layer_on[node]))
    return []


def _path_to(
    core: int, reached_by: dict[int, int], core_of: dict[int, int]
) -> list[tuple[int, int]]:
    path = []
    while True:
        layer = reached_by[core]
        path.append((layer, core))
        if layer not in core_of:
            return path
        core = core_of[layer]
