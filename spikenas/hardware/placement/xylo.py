"""Xylo: one pool of hidden neurons, a few output neurons; weights and neurons alternate.

The rules are those of the vendor's mapper: weights first, neurons after all weights, no weights
directly after weights, at least two layers of neurons, outputs directly from neurons. Output
neurons are those of the last layers; all others are hidden.
"""

from math import prod

from spikenas.hardware.layers import INPUT, Layer, LayerGraph, LayerKind
from spikenas.hardware.placement.placement import THE_NETWORK, Findings, Placement
from spikenas.hardware.profile import ChipProfile

_JOINTS = (LayerKind.MERGE, LayerKind.FLATTEN)
_KNOWN = (*_JOINTS, LayerKind.CONV, LayerKind.TOKEN_MIXING, LayerKind.NEURON, LayerKind.SUM_POOL)


def place_on_xylo(graph: LayerGraph, chip: ChipProfile) -> tuple[Placement, Findings]:
    """Return how many neurons of each kind are used, and what the chip does not allow."""
    findings = Findings(chip=chip)
    for layer in graph.layers:
        _check_order(layer, graph, findings)
    neurons = [layer for layer in graph.layers if layer.kind is LayerKind.NEURON]
    ends = {layer.name for layer in graph.ends}
    hidden = sum(layer.neurons for layer in neurons if layer.name not in ends)
    outputs = sum(layer.neurons for layer in neurons if layer.name in ends)
    inputs = prod(graph.input_shape) if graph.consumers[INPUT] else 0
    findings.at_most("inputs", THE_NETWORK, inputs, "input channels")
    findings.at_most("hidden_neurons", THE_NETWORK, hidden, "hidden neurons")
    findings.at_most("output_neurons", THE_NETWORK, outputs, "output neurons")
    findings.at_least("neuron_layers", THE_NETWORK, len(neurons), "layers of neurons")
    for layer in graph.layers:
        if layer.kind is LayerKind.NEURON:
            findings.at_most("fan_out", layer, _fan_out(layer, graph), "targets of a neuron")
    limits = chip.limits
    summary = (
        f"{hidden} of {limits['hidden_neurons'].most:.15g} hidden, "
        f"{outputs} of {limits['output_neurons'].most:.15g} output neurons"
    )
    records = tuple(
        {"layer": layer.name, "neurons": layer.neurons, "is_output": layer.name in ends}
        for layer in neurons
    )
    return Placement(summary=summary, layers=records), findings


def _check_order(layer: Layer, graph: LayerGraph, findings: Findings) -> None:
    sources = list(graph.origins(layer, _JOINTS))
    if layer.kind not in _KNOWN:
        findings.broken("unsupported_operation", layer, str(layer))
    elif layer.kind is LayerKind.NEURON:
        if not all(source is not None and source.is_weighted for source in sources):
            findings.broken("neurons_alternate", layer, "neurons that no weights feed")
    elif layer.is_weighted and any(source is not None and source.is_weighted for source in sources):
        findings.broken("neurons_alternate", layer, "weights directly after weights")
    if not graph.consumers[layer.name] and layer.kind is not LayerKind.NEURON:
        findings.broken("ends_in_neurons", layer, f"{layer} as the output")


def _fan_out(neuron: Layer, graph: LayerGraph) -> int:
    """Return how many neurons a neuron of this layer reaches."""
    return sum(
        layer.neurons if layer.kernel == layer.input_shape[1:] else layer.output_shape[0]
        for layer in graph.targets(neuron.name, (*_JOINTS, LayerKind.SUM_POOL))
        if layer.is_weighted
    )
