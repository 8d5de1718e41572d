"""Speck: one layer per core: weights, then integrate-and-fire neurons, then a sum pool.

Memory is rounded as on the chip (c input, f output channels, k kernel, H x W neurons before the
pool):
    kernel memory = c 2^(ceil log2(k k) + ceil log2 f)
    neuron memory = f 2^(ceil log2 H + ceil log2 W)
    bias memory   = f, or 0 without bias
c is not rounded, nor is f in neuron memory. A core must hold all three; layers are assigned to
cores by bipartite matching. All other limits are in the profile.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

from spikenas.hardware.layers import INPUT, Layer, LayerGraph, LayerKind
from spikenas.hardware.placement.matching import matching
from spikenas.hardware.placement.placement import THE_NETWORK, Findings, Placement
from spikenas.hardware.profile import ChipProfile

_POOL, _NEURON = LayerKind.SUM_POOL, LayerKind.NEURON
_JOINTS = (LayerKind.MERGE, LayerKind.FLATTEN)
_KNOWN = (LayerKind.CONV, _NEURON, _POOL, *_JOINTS)


def place_on_speck(graph: LayerGraph, chip: ChipProfile) -> tuple[Placement, Findings]:
    """Return which core each layer gets, and what the chip does not allow."""
    findings = Findings(chip=chip)
    for layer in graph.layers:
        _check_order(layer, graph, findings)
    layers = [layer for layer in graph.layers if layer.kind is LayerKind.CONV]
    places = {layer.name: place for place, layer in enumerate(graph.weighted)}
    records = [_record(layer, places, graph, findings) for layer in layers]
    findings.at_most("cores", THE_NETWORK, len(layers), "layers, one a core")
    core_of = matching([record["cores_that_fit"] for record in records])
    _check_matching(layers, records, core_of, findings)
    if "readout_classes" in chip.limits:
        for layer in layers:
            if not any(_destinations(layer, graph)):
                findings.at_most("readout_classes", layer, layer.output_shape[0], "classes")
    for place, record in enumerate(records):
        record["core"] = core_of.get(place)
    used = f"{len(core_of)} of {len(layers)} layers on {len(chip.limits['kernel_memory'].values)}"
    where = ", ".join(str(record["core"]) for record in records if record["core"] is not None)
    summary = f"{used} cores" + (f": {where}" if len(core_of) == len(layers) and layers else "")
    return Placement(summary=summary, layers=tuple(records)), findings


def memory(layer: Layer) -> dict[str, int]:
    """Return the words of kernel, neuron and bias memory of a layer, as the chip rounds them."""
    channels, height, width = layer.output_shape
    inputs = layer.input_shape[0] // layer.groups
    return {
        "kernel": inputs << _bits(prod(layer.kernel)) + _bits(channels),
        "neuron": channels << _bits(height) + _bits(width),
        "bias": layer.biases,
    }


def _bits(count: int) -> int:
    """Return ceil(log2(count))."""
    return (count - 1).bit_length()


def _record(
    layer: Layer, places: dict[str, int], graph: LayerGraph, findings: Findings
) -> dict[str, Any]:
    """Return what a layer needs and which cores have it; report the limits that it violates."""
    words = memory(layer)
    sizes = {kind: findings.chip.limit(f"{kind}_memory").values for kind in words}
    fitting = [
        core
        for core in range(len(sizes["kernel"]))
        if all(words[kind] <= sizes[kind][core % len(sizes[kind])] for kind in words)
    ]
    for kind, count_of_words in words.items():
        findings.at_most(f"{kind}_memory", layer, count_of_words, f"words of {kind} memory")
    alone = any(words[kind] > max(sizes[kind]) for kind in words)
    if not fitting and not alone:
        have = (
            f"{words['kernel']} words of kernel and {words['neuron']} of neuron memory in one core"
        )
        findings.broken("matching", layer, have)
    destinations = list(_destinations(layer, graph))
    _check_ranges(layer, destinations, findings)
    return {
        "layer": layer.name,
        **words,
        "cores_that_fit": fitting,
        "destinations": [places[target.name] for _, target, _ in destinations] or [-1],
    }


def _check_ranges(
    layer: Layer, destinations: list[tuple[str, Layer, int]], findings: Findings
) -> None:
    if layer.kernel[0] != layer.kernel[1]:
        findings.broken("square", layer, f"a kernel of {layer.kernel[0]}x{layer.kernel[1]}")
    if layer.groups != 1 or layer.dilation != (1, 1):
        what = f"groups = {layer.groups}" if layer.groups != 1 else f"dilation {layer.dilation}"
        findings.broken("dense_kernel", layer, what)
    findings.at_most("kernel_size", layer, max(layer.kernel), "kernel size")
    for stride in set(layer.stride):
        findings.one_of("strides", layer, stride, "stride")
    findings.at_most("padding", layer, max(layer.padding), "padding")
    findings.at_most("input_size", layer, max(layer.input_shape[1:]), "input height and width")
    findings.at_most("output_size", layer, max(layer.output_shape[1:]), "output height and width")
    channels = max(layer.input_shape[0], layer.output_shape[0])
    findings.at_most("channels", layer, channels, "channels")
    findings.at_most("destinations", layer, len(destinations), "destinations")
    for pool in {pool for _, _, pool in destinations}:
        findings.one_of("pooling", layer, pool, "pooling after it")


def _destinations(layer: Layer, graph: LayerGraph) -> Iterator[tuple[str, Layer, int]]:
    """Yield the last pool, the target weights and the total pooling of a layer's events."""
    found = {}
    for neuron in graph.consumers[layer.name]:
        if neuron.kind is _NEURON:
            for last, target, pool in _reached(neuron, 1, graph):
                found[last, target.name] = (last, target, pool)
    yield from found.values()


def _reached(source: Layer, pool: int, graph: LayerGraph) -> Iterator[tuple[str, Layer, int]]:
    for reader in graph.targets(source.name, _JOINTS):
        if reader.kind is _POOL:
            yield from _reached(reader, pool * reader.kernel[0], graph)
        elif reader.kind is LayerKind.CONV:
            yield source.name, reader, pool


def _check_order(layer: Layer, graph: LayerGraph, findings: Findings) -> None:
    """Report unsupported layers, and any order other than weights, neurons, pools."""
    readers = graph.consumers[layer.name]
    if layer.kind not in _KNOWN:
        findings.broken("unsupported_operation", layer, str(layer))
    elif layer.kind is LayerKind.CONV:
        origins = graph.origins(layer, _JOINTS)
        if any(origin is not None and origin.kind not in (_NEURON, _POOL) for origin in origins):
            findings.broken("layer_order", layer, f"{layer} that no neuron feeds")
        if [reader.kind for reader in readers] != [_NEURON]:
            findings.broken("layer_order", layer, f"{layer} without a neuron after it")
    elif layer.kind is _NEURON:
        if layer.leak or layer.what not in ("neuron", "iaf", "if"):
            what = f"{layer.what or 'neuron'} that leaks" if layer.leak else layer.what
            findings.broken("unsupported_neuron", layer, what)
        if [origin.kind if origin else None for origin in graph.sources(layer)] != [LayerKind.CONV]:
            findings.broken("layer_order", layer, "neurons without weights of their own")
    elif layer.kind is _POOL:
        _check_pool(layer, graph, findings)
    elif layer.kind is LayerKind.MERGE:
        if len(layer.sources) != 2 or INPUT in layer.sources or len(readers) > 1:
            what = f"a sum of {len(layer.sources)} streams that {len(readers)} layers read"
            findings.broken("merge", layer, what)
    elif len(readers) > 1:
        findings.broken("merge", layer, f"a flatten that {len(readers)} layers read")


def _check_pool(layer: Layer, graph: LayerGraph, findings: Findings) -> None:
    kinds = [reader.kind for reader in graph.consumers[layer.name]]
    sources = [origin.kind if origin else None for origin in graph.sources(layer)]
    is_split = _POOL in kinds and len(set(kinds)) > 1
    if sources[0] not in (_NEURON, _POOL) or is_split or _NEURON in kinds:
        findings.broken("layer_order", layer, f"{layer} that does not follow a single neuron")
    if layer.kernel[0] != layer.kernel[1] or layer.kernel != layer.stride:
        findings.broken("square", layer, f"a pool of {layer.kernel} at stride {layer.stride}")


def _check_matching(
    layers: list[Layer], records: list[dict[str, Any]], core_of: dict[int, int], findings: Findings
) -> None:
    """Report layers that each fit some core, but not all at the same time."""
    if len(layers) > findings.chip.limits["cores"].most:
        return
    for place, (layer, record) in enumerate(zip(layers, records, strict=True)):
        if place not in core_of and record["cores_that_fit"]:
            cores = ", ".join(map(str, record["cores_that_fit"]))
            findings.broken("matching", layer, f"core {cores} only, which other layers need")
