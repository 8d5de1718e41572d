"""A NIR graph (Pedersen 2024) from a Workload and the weights of its operations.

Every value is a map (C, H, W), tokens on their grid, or a vector (D,); a linear map of tokens is a
1x1 convolution. Sums have no node: edges into the same node add up, so a value can be several
nodes. Batch norm is folded into the weights before it, the divisor of a mean into the next weights
or threshold. NIR cannot multiply two signals, compare them or permute axes, see `refuse`.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from functools import partial

import nir
import numpy as np
import torch
from torch import Tensor

from spikenas.exceptions import InfeasibleError
from spikenas.preprocessing import Preprocessing
from spikenas.workload import Kind, Operation, Workload, foldable_norms

STEP_SECONDS = 1e-4  # the only time step that snnTorch supports
IF_LEAK = 2.0**-30  # of an IF that is written as a LIF: too small to change a float32
_LACKING = {
    Kind.CONCAT: "concatenation",
    Kind.MASK: "a product of two signals",
    Kind.MAX_POOL: "a maximum",
    Kind.SPIKE_PRODUCT: "a product of two signals",
    Kind.SPIKE_SUM: "a sum over channels or tokens that keeps the others",
    Kind.TOKEN_MIXING: "a matrix over the tokens of a map",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Value:
    """``scale`` times the sum of the outputs of the nodes."""

    nodes: tuple[str, ...]
    shape: tuple[int, ...]
    scale: float = 1.0


def refuse(workload: Workload) -> None:
    """Raise InfeasibleError with every operation that NIR has no node for."""
    folded = {norm.name for norm in foldable_norms(workload).values()}
    lacking: dict[str, list[str]] = {}
    for operation in workload.operations:
        reason = _lacks(operation, workload, folded)
        if reason:
            lacking.setdefault(reason, []).append(operation.name)
    if lacking:
        count = sum(map(len, lacking.values()))
        named = "; ".join(f"{reason}: {', '.join(names)}" for reason, names in lacking.items())
        raise InfeasibleError(
            f"NIR has no node for {count} of {len(workload.operations)} operations: {named}; "
            "export to onnx or pt2, or use components that chips without a clock can run"
        )


def build(
    workload: Workload,
    weights: Mapping[str, Tensor],
    input_shape: tuple[int, ...],
    how: Preprocessing | None = None,
    *,
    step_seconds: float | None = None,
) -> tuple[nir.NIRGraph, float]:
    """Return the graph of one step, and the factor from its mean output to logits.

    Args:
        workload: of a network with its weights, which has the learned leaks of neurons.
        weights: its state dict.
        input_shape: of one frame, (C, H, W).
        how: if given, the graph takes images in 0..1 and normalises them.
        step_seconds: the time step, by default 1e-4. If given, an ``if`` becomes a LIF that loses
            `IF_LEAK` of its membrane per step, as simulators differ in their IF.
    """
    refuse(workload)
    builder = _Builder(weights, input_shape, foldable_norms(workload), step_seconds)
    if how is not None:
        builder.normalise(how)
    for operation in workload.operations:
        builder.add(operation)
    return builder.finished(workload.operations[-1].name)


def node_name(operation: str) -> str:
    """Return the name of an operation's node, without dots, which separate modules."""
    return operation.replace(".", "_")


class _Builder:
    """The nodes and edges so far, and the value of each operation."""

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        input_shape: tuple[int, ...],
        folded: Mapping[str, Operation],
        step_seconds: float | None,
    ) -> None:
        self._weights = {name: tensor.detach().double() for name, tensor in weights.items()}
        self._folded = folded
        self._step_seconds = STEP_SECONDS if step_seconds is None else step_seconds
        self._if_leak = 0.0 if step_seconds is None else IF_LEAK
        self._values = {"input": _Value(nodes=("input",), shape=input_shape)}
        self._nodes: dict[str, nir.NIRNode] = {
            "input": nir.Input(input_type={"input": np.array(input_shape)})
        }
        self._edges: list[tuple[str, str]] = []

    def normalise(self, how: Preprocessing) -> None:
        """Append ``(x - mean) / std`` per channel, as a 1x1 convolution."""
        x = self._values["input"]
        mean, std = (torch.tensor(each, dtype=torch.float64) for each in (how.mean, how.std))
        conv = nir.Conv2d(
            input_shape=x.shape[1:],
            weight=_array(torch.diag(1 / std)[:, :, None, None]),
            stride=1,
            padding=0,
            dilation=1,
            groups=1,
            bias=_array(-mean / std),
        )
        self._values["input"] = self._append("normalisation", conv, x, x.shape)

    def add(self, operation: Operation) -> None:
        """Append one operation."""
        x, *others = (self._values[operand.source] for operand in operation.inputs)
        match operation.kind:
            case Kind.CONV | Kind.LINEAR:
                value = self._weighted(operation, x)
            case Kind.NEURON:
                value = self._neuron(operation, x)
            case Kind.SUM_POOL:
                kernel = (int(operation.attributes["kernel_size"]),) * 2
                value = self._pooled(operation.name, x, kernel)
            case Kind.MEAN if not _ends_time(operation):
                value = self._mean_over_tokens(operation, x)
            case Kind.ADD:
                value = _sum(operation, x, *others)
            case _:  # batch norm is in the weights; the reader computes the mean over steps
                value = x
        self._values[operation.name] = value

    def finished(self, last: str) -> tuple[nir.NIRGraph, float]:
        """Return the graph whose output is this operation, and the scale of the output."""
        value = self._values[last]
        output = nir.Output(output_type={"output": np.array(value.shape)})
        self._append("output", output, value, value.shape)
        return nir.NIRGraph(nodes=self._nodes, edges=self._edges, metadata={}), value.scale

    def _weighted(self, operation: Operation, x: _Value) -> _Value:
        weight = self._weights[f"{operation.name}.weight"] * x.scale
        bias = self._weights.get(f"{operation.name}.bias", weight.new_zeros(len(weight)))
        norm = self._folded.get(operation.name)
        if norm is not None:
            weight, bias = self._normalised(norm, weight, bias)
        if len(x.shape) == 1:
            affine = nir.Affine(weight=_array(weight), bias=_array(bias))
            return self._append(operation.name, affine, x, (len(weight),))
        known = operation.attributes
        conv = nir.Conv2d(
            input_shape=x.shape[1:],
            weight=_array(weight if weight.dim() == 4 else weight[:, :, None, None]),
            stride=int(known.get("stride", 1)),
            padding=int(known.get("padding", 0)),
            dilation=1,
            groups=1,
            bias=_array(bias),
        )
        shape = tuple(int(size) for size in conv.output_type["output"])
        return self._append(operation.name, conv, x, shape)

    def _normalised(self, norm: Operation, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Fold ``y = gamma (x - mean) / sqrt(var + eps) + beta`` into the weights before it."""
        gamma, beta, mean, var = (
            self._weights[f"{norm.name}.{part}"]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        slope = gamma / torch.sqrt(var + float(norm.attributes["eps"]))
        return weight * slope.view(-1, *(1,) * (weight.dim() - 1)), (bias - mean) * slope + beta

    def _neuron(self, operation: Operation, x: _Value) -> _Value:
        """Append an IF, ``v + x``, or a LIF, which scales its input by the leak.

        If our input is not scaled (no ``tau``), the threshold is scaled instead. NIR fires above
        the threshold and ours also at it, so the threshold is the next smaller float.
        """
        leak = float(operation.attributes["leak"]) or self._if_leak
        threshold = float(operation.attributes["v_threshold"]) / x.scale
        if leak and "tau" not in operation.attributes:
            threshold *= leak
        full = partial(np.full, x.shape, dtype=np.float32)
        v_threshold = full(np.nextafter(np.float32(threshold), np.float32(0.0)))
        node = (
            nir.LIF(
                tau=full(self._step_seconds / leak),
                r=full(1.0),
                v_leak=full(0.0),
                v_threshold=v_threshold,
                v_reset=full(0.0),
            )
            if leak
            else nir.IF(r=full(1.0), v_threshold=v_threshold, v_reset=full(0.0))
        )
        return self._append(operation.name, node, x, x.shape)

    def _mean_over_tokens(self, operation: Operation, x: _Value) -> _Value:
        channels, height, width = x.shape
        if height * width > 1:
            x = self._pooled(f"{operation.name}.sum", x, (height, width))
        flatten = nir.Flatten(input_type={"input": np.array(x.shape)}, start_dim=0, end_dim=-1)
        vector = self._append(operation.name, flatten, x, (channels,))
        return replace(vector, scale=x.scale / (height * width))

    def _pooled(self, name: str, x: _Value, kernel: tuple[int, int]) -> _Value:
        window = np.array(kernel)
        pool = nir.SumPool2d(kernel_size=window, stride=window, padding=np.array((0, 0)))
        shape = (x.shape[0], x.shape[1] // kernel[0], x.shape[2] // kernel[1])
        return replace(self._append(name, pool, x, shape), scale=x.scale)

    def _append(self, name: str, node: nir.NIRNode, x: _Value, shape: tuple[int, ...]) -> _Value:
        name = node_name(name)
        self._nodes[name] = node
        self._edges += [(source, name) for source in x.nodes]
        return _Value(nodes=(name,), shape=shape)


def _sum(operation: Operation, *values: _Value) -> _Value:
    nodes = tuple(node for value in values for node in value.nodes)
    if len(set(nodes)) < len(nodes) or len({value.scale for value in values}) > 1:
        raise InfeasibleError(
            f"NIR has no node for {operation.name}: it adds a signal to itself or to a mean, "
            "and edges carry no factor; export to onnx or pt2"
        )
    return replace(values[0], nodes=nodes)


def _lacks(operation: Operation, workload: Workload, folded: Container[str]) -> str | None:
    """Return the feature that NIR lacks for this operation, if any."""
    attributes = operation.attributes
    runs_once = operation.steps < workload.num_steps
    match operation.kind:
        case Kind.CONV if attributes.get("dimensions") == 1:
            return "a convolution along the tokens of a map"
        case Kind.BATCH_NORM if operation.name not in folded:
            return "a batch norm with no weights of its own before it"
        case Kind.NEURON if not {"leak", "reset", "v_threshold"} <= attributes.keys():
            return f"the dynamics of neuron {attributes.get('neuron', 'without numbers')}"
        case Kind.NEURON if attributes["reset"] != "zero":
            return f"a reset to {attributes['reset']}"
        case kind if runs_once and not (kind is Kind.LINEAR and len(operation.output_shape) == 1):
            return "what runs once and is held"  # except for a classifier after the last mean
        case kind:
            return _LACKING.get(kind)


def _ends_time(operation: Operation) -> bool:
    return operation.kind is Kind.MEAN and operation.output_shape == operation.inputs[0].shape


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.float().numpy()
