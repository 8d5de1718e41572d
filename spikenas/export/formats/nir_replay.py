"""A step-by-step simulator of NIR graphs, to compare an export with its network.

It supports Conv2d, Affine, SumPool2d, Flatten, IF and LIF with a reset, and graphs without loops.
It shares our reading of NIR with the exporter, so it only finds errors of folding and wiring; the
tests also run the files in norse.
Axes: T steps, B batch, then the axes of the node.
"""

from collections.abc import Callable, Mapping, Sequence
from graphlib import TopologicalSorter

import nir
import torch
import torch.nn.functional as F
from torch import Tensor

Step = Callable[[Tensor], Tensor]


def replay(graph: nir.NIRGraph, x: Tensor, step_seconds: float) -> Tensor:
    """Return the output [T, B, ...] for inputs [T, B, ...]."""
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        sources[target].append(source)
    order = list(TopologicalSorter(sources).static_order())
    steps = {name: _step(node, step_seconds) for name, node in graph.nodes.items()}
    return torch.stack([_once(order, sources, steps, x_t) for x_t in x.unbind(0)])


def _once(
    order: list[str], sources: Mapping[str, list[str]], steps: Mapping[str, Step], x: Tensor
) -> Tensor:
    given: dict[str, Tensor] = {}
    for name in order:
        inputs = [given[source] for source in sources[name]] or [x]
        given[name] = steps[name](sum(inputs[1:], inputs[0]))
    return given["output"]


def _step(node: nir.NIRNode, step_seconds: float) -> Step:
    """Return the function of a node for one step; neurons keep their membranes."""
    if isinstance(node, nir.Input | nir.Output):
        return lambda x: x
    if isinstance(node, nir.Affine):
        weight, bias = torch.as_tensor(node.weight), torch.as_tensor(node.bias)
        return lambda x: F.linear(x, weight, bias)
    if isinstance(node, nir.Conv2d):
        weight, bias = torch.as_tensor(node.weight), torch.as_tensor(node.bias)
        stride, padding = _pair(node.stride), _pair(node.padding)
        return lambda x: F.conv2d(x, weight, bias, stride, padding)
    if isinstance(node, nir.SumPool2d):
        kernel = _pair(node.kernel_size)
        return lambda x: kernel[0] * kernel[1] * F.avg_pool2d(x, kernel)
    if isinstance(node, nir.Flatten):
        return lambda x: x.flatten(1)
    assert isinstance(node, nir.IF | nir.LIF), type(node)
    return _Neuron(node, step_seconds)


class _Neuron:
    """v' = v + r x, or v + dt / tau (r x - v); fires above the threshold, then is v_reset."""

    def __init__(self, node: nir.IF | nir.LIF, step_seconds: float) -> None:
        self.r, self.v_threshold, self.v_reset = (
            torch.as_tensor(array) for array in (node.r, node.v_threshold, node.v_reset)
        )
        self.leak = (
            torch.as_tensor(step_seconds / node.tau).float() if isinstance(node, nir.LIF) else None
        )
        self.v = torch.zeros(())

    def __call__(self, x: Tensor) -> Tensor:
        current = self.r * x
        h = self.v + (current if self.leak is None else self.leak * (current - self.v))
        spikes = h > self.v_threshold
        self.v = torch.where(spikes, self.v_reset, h)
        return spikes.float()


def _pair(sizes: Sequence[int]) -> tuple[int, int]:
    return int(sizes[0]), int(sizes[1])
