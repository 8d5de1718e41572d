"""Assign layers to cores, one each: a maximum bipartite matching by shortest augmenting paths.

Edmonds & Karp 1972 with unit capacities. Layers and cores are tried in order, as the vendors'
tools do, so the assignment is the same as theirs.
"""

from collections import deque
from collections.abc import Sequence


def matching(candidates: Sequence[Sequence[int]]) -> dict[int, int]:
    """Return the core of each layer, for as many layers as possible.

    ``candidates`` lists for each layer the cores that it fits on.
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
    """Return the (layer, core) pairs that place one more layer, or nothing."""
    free = [layer for layer in range(len(candidates)) if layer not in core_of]
    reached_by: dict[int, int] = {}  # from a core to the layer that reached it
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
            path = [(reached_by[node], node)]
            while path[-1][0] in core_of:
                core = core_of[path[-1][0]]
                path.append((reached_by[core], core))
            return path
        elif layer_on[node] not in seen:
            seen.add(layer_on[node])
            waiting.append(("layer", layer_on[node]))
    return []
