"""`read_nir`: read a network in the exchange format NIR (Pedersen 2024), from any writer.

Kinds, shapes, edges and counts are read, but no weights. `nir.read` is not used: its errors do not
name unknown nodes, and it assumes square kernels and one group. What NIR cannot express, spikenas
writes to the metadata: T, the duration of a step, and whether the input is images. For other files
the defaults are one step of 1e-4 s on events.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikenas.exceptions import SpecError
from spikenas.hardware.batch_norm_folding import fold_batch_norm
from spikenas.hardware.layers import INPUT, LayerGraph, Pair, is_same, window_output
from spikenas.hardware.nir_node import NirNode, is_graph, listed, metadata_of, text
from spikenas.workload import Kind, Operand, Operation, Signal, Workload

_STEP_SECONDS = 1e-4
_NO_LEAK = 2.0**-25  # a float32 that loses no more than this fraction does not change
_KINDS = ("Affine", "AvgPool2d", "Conv2d", "CubaLIF", "Flatten", "IF", "LIF", "Linear", "SumPool2d")
_DAMAGE = (OSError, RuntimeError, LookupError, TypeError, ValueError, MemoryError)  # of h5py
_ENDS = ("Input", "Output")


def read_nir(path: Path) -> tuple[Workload, LayerGraph]:
    """Return the operations of a network, and its layers, whose windows need not be square.

    Raises SpecError naming the file, and the node if no chip can be checked for it.
    """
    if not path.is_file():
        raise SpecError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            graph = file.get("node")
            if not is_graph(graph):
                raise SpecError(f"{path}: is HDF5 but no NIR graph; needed: what nir.write writes")
            return _Reader(graph, str(path)).network()
    except SpecError:
        raise
    except _DAMAGE as error:
        raise SpecError(
            f"{path}: cannot be read as NIR, which is HDF5: {error}; write or fetch it again"
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Value:
    """The output of a node, and the operation that produces it."""

    source: str
    shape: tuple[int, ...]
    signal: Signal


class _Reader:
    """Collects the operations, and the output of each node."""

    def __init__(self, graph: h5py.Group, path: str) -> None:
        self._path = path
        self._nodes = {name: NirNode(group, name, path) for name, group in graph["nodes"].items()}
        self._sources = self._edges(graph)
        self._metadata = metadata_of(graph)
        self._operations: dict[str, Operation] = {}
        # The fields of layers that an operation lacks.
        self._windows: dict[str, dict[str, Any]] = {}
        self._values: dict[str, _Value] = {}
        self._sums: dict[tuple[str, ...], _Value] = {}

    def network(self) -> tuple[Workload, LayerGraph]:
        """Read all nodes, each after those that feed it."""
        self._refuse_unknown()
        for name in self._order():
            node, sources = self._nodes[name], self._sources[name]
            if node.kind == "Input":
                self._values[name] = self._input(node)
            elif sources:
                self._values[name] = self._output(node, self._sum(node, sources))
            else:
                node.refuse("nothing feeds it; every path must begin at the Input")
        operations = tuple(self._operations.values())
        if not operations:
            raise SpecError(f"{self._path}: the graph has no node that does something")
        parameters = sum(operation.weights + operation.biases for operation in operations)
        workload = Workload(
            operations=operations,
            num_steps=int(self._number("num_steps", 1)),
            parameters=parameters,
        )
        layers = fold_batch_norm(workload)
        widened = (replace(each, **self._windows.get(each.name, {})) for each in layers.layers)
        return workload, replace(layers, layers=tuple(widened))

    def _edges(self, graph: h5py.Group) -> dict[str, list[str]]:
        """Return the sources of each node."""
        sources: dict[str, list[str]] = {name: [] for name in self._nodes}
        edges = np.asarray(graph["edges"][()])
        if edges.size and edges.shape[1:] != (2,):
            raise SpecError(f"{self._path}: edges of shape {edges.shape}; needed: pairs of names")
        for source, target in (map(text, edge) for edge in edges):
            for end in (source, target):
                if end not in sources:
                    raise SpecError(f"{self._path}: an edge names {end!r}, which is no node")
            if source in sources[target]:
                self._nodes[target].refuse(f"two edges come from {source!r}; needed: one")
            sources[target].append(source)
        return sources

    def _refuse_unknown(self) -> None:
        """Name every node that is neither an operation nor an end."""
        unknown = [node for node in self._nodes.values() if node.kind not in (*_KINDS, *_ENDS)]
        if unknown:
            named = ", ".join(f"{node.name!r} ({node.kind})" for node in unknown)
            raise SpecError(
                f"{self._path}: no chip is checked for {len(unknown)} of {len(self._nodes)} nodes: "
                f"{named}; known: {', '.join((*_ENDS, *_KINDS))}"
            )
        inputs = [node for node in self._nodes.values() if node.kind == "Input"]
        if len(inputs) != 1:
            raise SpecError(f"{self._path}: {len(inputs)} Input nodes; needed: one")
        if INPUT in self._nodes and inputs[0].name != INPUT:
            self._nodes[INPUT].refuse("has the name of the input of the network; rename it")

    def _order(self) -> Iterable[str]:
        try:
            return list(TopologicalSorter(self._sources).static_order())
        except CycleError as error:
            loop = " -> ".join(reversed(error.args[1]))
            raise SpecError(
                f"{self._path}: a loop of nodes: {loop}; only networks without loops are checked"
            ) from None

    def _number(self, key: str, otherwise: float) -> float:
        """Return a number above 0 from the metadata."""
        found = self._metadata.get(key, otherwise)
        is_number = isinstance(found, int | float | np.integer | np.floating)
        if not is_number or not 0 < found < float("inf"):
            raise SpecError(f"{self._path}: metadata {key} = {found!r}; needed: a number above 0")
        return float(found)

    def _input(self, node: NirNode) -> _Value:
        shape = node.counts("shape", least=1)
        if len(shape) not in (1, 3):
            node.refuse(f"shape {listed(shape)}; needed: [C, H, W] or [N], without batch and time")
        is_image = self._metadata.get("input") == "frames"
        signal = Signal.ANALOG if is_image else Signal.COUNTS
        return _Value(source=INPUT, shape=shape, signal=signal)

    def _sum(self, node: NirNode, sources: list[str]) -> _Value:
        """Add the inputs of a node, two at a time; nodes with the same inputs share the sum."""
        value = self._values[sources[0]]
        for place, source in enumerate(sources[1:], start=2):
            other = self._values[source]
            if other.shape != value.shape:
                node.refuse(
                    f"{listed(value.shape)} and, from {source!r}, {listed(other.shape)} meet at "
                    "it; needed: equal shapes"
                )
            summed = tuple(sources[:place])
            if summed not in self._sums:
                name = f"sum of {place} at {node.name}"
                signal = _joined(value.signal, other.signal)
                added = self._add(name, Kind.ADD, (value, other), value.shape, signal)
                self._sums[summed] = added
            value = self._sums[summed]
        return value

    def _output(self, node: NirNode, x: _Value) -> _Value:
        match node.kind:
            case "Conv2d":
                return self._convolved(node, x)
            case "Affine" | "Linear":
                return self._linear(node, x)
            case "IF" | "LIF" | "CubaLIF":
                return self._fired(node, x)
            case "SumPool2d" | "AvgPool2d":
                return self._pooled(node, x)
            case "Flatten":
                return self._flattened(node, x)
        return x  # the Output

    def _convolved(self, node: NirNode, x: _Value) -> _Value:
        out, inputs, *window = node.shape("weight", dimensions=4)
        kernel = (window[0], window[1])
        stride, dilation = node.pair("stride"), node.pair("dilation")
        groups = node.count("groups", least=1)
        padding, after = _padded(node, x, kernel, stride, dilation)
        if inputs * groups != x.shape[0] or out % groups:
            node.refuse(
                f"weight for {inputs * groups} channels in {groups} groups; {x.shape[0]} enter"
            )
        is_linear = (kernel, stride, padding, groups) == ((1, 1), (1, 1), (0, 0), 1)
        self._windows[node.name] = _window(kernel, stride, padding, dilation, groups)
        return self._add(
            node.name,
            Kind.LINEAR if is_linear else Kind.CONV,  # a 1x1 kernel maps tokens on a grid
            (x,),
            (out, *after),
            Signal.MEMBRANE,
            macs=out * prod(after) * inputs * prod(kernel),
            weights=out * inputs * prod(kernel),
            biases=node.biases(out),
            attributes=_squared(kernel, stride, padding),
        )

    def _linear(self, node: NirNode, x: _Value) -> _Value:
        out, inputs = node.shape("weight", dimensions=2)
        if x.shape != (inputs,):
            flatten = "" if len(x.shape) == 1 else "; put a Flatten before it"
            node.refuse(f"weight for {inputs} inputs; {listed(x.shape)} enters{flatten}")
        return self._add(
            node.name,
            Kind.LINEAR,
            (x,),
            (out,),
            Signal.MEMBRANE,
            macs=out * inputs,
            weights=out * inputs,
            biases=node.biases(out),
        )

    def _fired(self, node: NirNode, x: _Value) -> _Value:
        count = prod(x.shape)
        shape = node.shape("v_threshold")
        if prod(shape) not in (1, count):
            node.refuse(f"neurons of shape {listed(shape)}; {listed(x.shape)} enters")
        return self._add(
            node.name,
            Kind.NEURON,
            (x,),
            x.shape,
            Signal.SPIKES,
            neurons=count,
            state=count * (2 if node.kind == "CubaLIF" else 1),
            attributes={"leak": self._leak(node)},
        )

    def _leak(self, node: NirNode) -> float:
        """Return the largest fraction of a membrane that any neuron loses per step."""
        if node.kind == "IF":
            return 0.0
        tau = float(node.numbers("tau" if node.kind == "LIF" else "tau_mem").min())
        if not tau > 0:
            node.refuse(f"a time constant of {tau:g} s; needed: above 0")
        leak = min(self._number("step_seconds", _STEP_SECONDS) / tau, 1.0)
        return leak if leak > _NO_LEAK else 0.0

    def _pooled(self, node: NirNode, x: _Value) -> _Value:
        kernel, stride = node.pair("kernel_size"), node.pair("stride")
        if any(node.pair("padding", least=0)):
            node.refuse("a pool with padding, which no chip is checked for")
        _, after = _padded(node, x, kernel, stride, (1, 1))
        signal = _joined(x.signal, x.signal)
        channels = x.shape[0]
        readers = [self._nodes[name].kind for name, of in self._sources.items() if node.name in of]
        if kernel == x.shape[1:] and readers and set(readers) == {"Flatten"}:
            tokens = replace(x, shape=(prod(kernel), channels))
            mean = self._add(node.name, Kind.MEAN, (tokens,), (channels,), signal)
            return replace(mean, shape=(channels, 1, 1))
        self._windows[node.name] = _window(kernel, stride, (0, 0), (1, 1), 1)
        return self._add(
            node.name,
            Kind.SUM_POOL,  # also an average: its divisor is folded into the next weights
            (x,),
            (channels, *after),
            signal,
            attributes=_squared(kernel, stride, (0, 0)),
        )

    def _flattened(self, node: NirNode, x: _Value) -> _Value:
        """Flatten to a vector; writers that count the batch as an axis start at 1."""
        start, end = (node.count(name, least=-1) for name in ("start_dim", "end_dim"))
        if start not in (0, 1) or end not in (-1, len(x.shape) - 1, len(x.shape)):
            node.refuse(f"flattens axes {start} to {end} of {listed(x.shape)}; needed: all")
        return replace(x, shape=(prod(x.shape),))

    def _add(
        self,
        name: str,
        kind: Kind,
        inputs: tuple[_Value, ...],
        output_shape: tuple[int, ...],
        signal: Signal,
        **numbers: Any,
    ) -> _Value:
        operands = tuple(
            Operand(source=each.source, shape=each.shape, signal=each.signal) for each in inputs
        )
        self._operations[name] = Operation(
            name=name,
            kind=kind,
            inputs=operands,
            output_shape=output_shape,
            signal=signal,
            steps=int(self._number("num_steps", 1)),
            **numbers,
        )
        return _Value(source=name, shape=output_shape, signal=signal)


def _padded(
    node: NirNode, x: _Value, kernel: Pair, stride: Pair, dilation: Pair
) -> tuple[Pair, Pair]:
    """Return padding and output size of a window on a map."""
    if len(x.shape) != 3:
        node.refuse(f"stands behind flat values, {listed(x.shape)}; needed: a map [C, H, W]")
    word = "" if node.kind != "Conv2d" else node.text("padding")
    if node.has("input_shape") and node.pair("input_shape") != x.shape[1:]:
        node.refuse(f"input_shape {listed(node.pair('input_shape'))}; {listed(x.shape)} enters")
    if word == "same":
        if stride != (1, 1):
            node.refuse("padding 'same' with a stride; give the padding in numbers")
        pads = [d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True)]
        return (pads[0], pads[1]), (x.shape[1], x.shape[2])
    is_number = node.kind == "Conv2d" and word != "valid"
    padding = node.pair("padding", least=0) if is_number else (0, 0)
    size = window_output((x.shape[1], x.shape[2]), kernel, stride, padding, dilation)
    if min(size) < 1:
        node.refuse(f"a window of {kernel[0]}x{kernel[1]} on {listed(x.shape)} leaves nothing")
    return padding, size


def _window(
    kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> dict[str, Any]:
    return {
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "same_padding": is_same(kernel, padding),
    }


def _squared(kernel: Pair, stride: Pair, padding: Pair) -> dict[str, int]:
    """Return the attributes that chip rules refer to, taken from the larger axis."""
    return {"kernel_size": max(kernel), "stride": max(stride), "padding": max(padding)}


def _joined(*signals: Signal) -> Signal:
    """Return what a sum of these signals carries."""
    for widest in (Signal.MEMBRANE, Signal.ANALOG):
        if widest in signals:
            return widest
    return Signal.COUNTS
