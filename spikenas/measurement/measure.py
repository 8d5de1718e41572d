"""`measure`: accuracy and spike rates of a network on data, in one pass."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from spikenas.measurement.trace import trace_architecture
from spikenas.nn.network import SpikingTransformer
from spikenas.nn.operations import Leaf
from spikenas.workload import Operation, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was seen: accuracy 0 to 1, and the workload with the rate on every operand."""

    accuracy: float
    workload: Workload


class _Counter:
    """The non-zero elements on the inputs and output of each operation, over batches."""

    def __init__(self) -> None:
        self.counts: dict[str, list[Tensor]] = {}
        self._known = WeakTensorKeyDictionary()  # one tensor feeds several operations

    def ran(self, name: str, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts = [self._non_zero(x) for x in (*inputs, output)]
        before = self.counts.get(name)
        if before is not None:
            counts = [a + b for a, b in zip(before, counts, strict=True)]
        self.counts[name] = counts

    def _non_zero(self, x: Tensor) -> Tensor:
        count: Tensor | None = self._known.get(x)
        if count is None:
            count = self._known[x] = torch.count_nonzero(x)
        return count


def measure(network: SpikingTransformer, batches: Iterable[tuple[Tensor, Tensor]]) -> Measurement:
    """Run ``batches`` of (images [B, C, H, W], labels [B]) in evaluation mode.

    Raises:
        ValueError: there is no sample.
    """
    workload = trace_architecture(network.architecture)
    counter = _Counter()
    needed = {o.name for o in workload.operations if o.macs or o.neurons}
    hooks = [
        leaf.register_forward_hook(_watcher(counter, name))
        for name, leaf in network.named_modules()
        if isinstance(leaf, Leaf) and name in needed
    ]
    was_training = network.training
    correct = samples = 0
    try:
        network.eval()
        with torch.no_grad():
            for images, labels in batches:
                correct += int((network(images).argmax(1) == labels).sum())
                samples += len(labels)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    if samples == 0:
        raise ValueError("measure needs at least one sample, but the batches are empty")
    operations = tuple(
        _with_rates(o, counter.counts[o.name], samples) if o.name in needed else o
        for o in workload.operations
    )
    return Measurement(
        accuracy=correct / samples, workload=replace(workload, operations=operations)
    )


def _with_rates(operation: Operation, counts: list[Tensor], samples: int) -> Operation:
    """Return the operation with its rates; elements of halted tokens count as zeros."""
    runs = samples * operation.steps
    shapes = (*(operand.shape for operand in operation.inputs), operation.output_shape)
    rates = [
        float(count) / (runs * prod(shape)) for count, shape in zip(counts, shapes, strict=True)
    ]
    inputs = tuple(
        replace(operand, spike_rate=rate)
        for operand, rate in zip(operation.inputs, rates[:-1], strict=True)
    )
    return replace(operation, inputs=inputs, spike_rate=rates[-1])


def _watcher(counter: _Counter, name: str) -> Callable[..., None]:
    def watch(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counter.ran(name, inputs, output)

    return watch
