"""`fold_batch_norm`: from a traced network to the layers that a chip would hold.

Batch norm after weights becomes their bias. A linear map of tokens on a grid is a 1x1 convolution
of the map. A mean over tokens before a linear map is folded into its weights: the kernel is then
the whole map, and the divisor goes into the weights. A mean over steps is a count on the host.
What cannot be folded becomes a layer of kind ``other``, which the rules of the chip cover.
"""

from dataclasses import replace
from math import prod

from spikenas.hardware.layers import INPUT, Layer, LayerGraph, LayerKind, Pair, Shape, is_same
from spikenas.workload import Kind, Operation, Signal, Workload, foldable_norms

_KINDS = {
    Kind.CONV: LayerKind.CONV,
    Kind.LINEAR: LayerKind.CONV,
    Kind.TOKEN_MIXING: LayerKind.TOKEN_MIXING,
    Kind.NEURON: LayerKind.NEURON,
    Kind.SUM_POOL: LayerKind.SUM_POOL,
    Kind.MAX_POOL: LayerKind.MAX_POOL,
    Kind.ADD: LayerKind.MERGE,
    Kind.BATCH_NORM: LayerKind.BATCH_NORM,
}


def fold_batch_norm(workload: Workload) -> LayerGraph:
    """Return the layers of a network, with batch norm and means folded into weights."""
    folding = _Folding(workload)
    for operation in workload.operations:
        folding.add(operation)
    return LayerGraph(layers=tuple(folding.layers.values()), input_shape=folding.shapes[INPUT])


class _Folding:
    """The layers so far, and the layer and its shape to which each operation was folded."""

    def __init__(self, workload: Workload) -> None:
        self.layers: dict[str, Layer] = {}
        self.stands_for: dict[str, str] = {INPUT: INPUT}
        self.shapes: dict[str, Shape] = {INPUT: _input_shape(workload)}
        self._norms = {norm.name for norm in foldable_norms(workload).values()}
        self._means: dict[str, str] = {}  # from a mean over tokens to the operation before it

    def add(self, operation: Operation) -> None:
        """Fold one operation, or make it a layer."""
        first = operation.inputs[0].source
        source = self.stands_for[first]
        if operation.kind is Kind.MEAN:
            self.stands_for[operation.name] = source
            self._carry_mean(operation, first)
        elif operation.name in self._norms and self.layers[source].is_weighted:
            layer = self.layers[source]
            self.layers[source] = replace(layer, biases=layer.output_shape[0])
            self.stands_for[operation.name] = source
        else:
            layer = self._layer(operation, first)
            self.layers[layer.name] = layer
            self.stands_for[operation.name] = layer.name
            self.shapes[layer.name] = layer.output_shape

    def _carry_mean(self, operation: Operation, first: str) -> None:
        """Remember a mean over tokens, also through a mean over steps, until its weights come."""
        shape = operation.inputs[0].shape
        if first in self._means:
            self._means[operation.name] = self._means[first]
        elif len(shape) == 2 and len(operation.output_shape) == 1:
            self._means[operation.name] = first

    def _layer(self, operation: Operation, first: str) -> Layer:
        sources = tuple(self.stands_for[operand.source] for operand in operation.inputs)
        tokens = operation.inputs[0].shape
        over_map = operation.kind is Kind.LINEAR and first in self._means
        before = self.shapes[sources[0]]
        if len(tokens) == 3:
            before = (tokens[0], tokens[1], tokens[2])
        elif first in self._means and not over_map:  # a neuron on a mean
            before = (before[0], 1, 1)
        after = (operation.output_shape[0], 1, 1) if over_map else _shape(operation, before)
        kernel, stride, padding = _window(operation)
        if over_map:
            kernel = before[1:]
        elif operation.kind is Kind.LINEAR and len(tokens) == 1:
            kernel = before[1:] if prod(before) == tokens[0] else (1, 1)
        attributes = operation.attributes
        kind = _KINDS.get(operation.kind, LayerKind.OTHER)
        has_biases = operation.kind in (Kind.CONV, Kind.LINEAR) and operation.biases
        return Layer(
            name=operation.name,
            kind=LayerKind.OTHER if attributes.get("dimensions") == 1 else kind,
            sources=tuple(dict.fromkeys(sources)),
            input_shape=before,
            output_shape=after,
            what=operation.kind,
            kernel=kernel,
            stride=stride,
            padding=padding,
            groups=int(attributes.get("groups", 1)),
            biases=after[0] if has_biases else 0,
            leak=float(attributes.get("leak", 0.0)),
            is_pixels=operation.inputs[0].signal is Signal.ANALOG,
            same_padding=is_same(kernel, padding) or over_map or kernel == (1, 1),
        )


def _window(operation: Operation) -> tuple[Pair, Pair, Pair]:
    """Return kernel, stride and padding."""
    defaults = {"kernel_size": 1, "stride": 1, "padding": 0}
    kernel, stride, padding = (int(operation.attributes.get(*item)) for item in defaults.items())
    return (kernel, kernel), (stride, stride), (padding, padding)


def _shape(operation: Operation, before: Shape) -> Shape:
    """Return the output as a map: tokens keep the grid of what they were made from."""
    output = operation.output_shape
    if len(output) == 3:
        return (output[0], output[1], output[2])
    if len(output) == 2:
        tokens, channels = output
        return (channels, *before[1:]) if prod(before[1:]) == tokens else (channels, tokens, 1)
    return (output[0], 1, 1) if output else (1, 1, 1)


def _input_shape(workload: Workload) -> Shape:
    for operation in workload.operations:
        for operand in operation.inputs:
            if operand.source == INPUT and len(operand.shape) in (1, 3):
                channels, *sides = operand.shape
                return (channels, sides[0], sides[1]) if sides else (channels, 1, 1)
    return (1, 1, 1)
