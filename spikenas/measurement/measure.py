"""`measure`: accuracy and spike rates of a network on data, in one pass."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

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
    """The part of non-zero elements on the inputs and output of each operation, over batches."""

    def __init__(self) -> None:
        self.counts: dict[str, list[Tensor]] = {}
        self.elements: dict[str, list[int]] = {}
        self._known = WeakTensorKeyDictionary()  # one tensor feeds several operations

    def ran(self, name: str, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        tensors = (*inputs, output)
        counts = [self._non_zero(x) for x in tensors]
        if name in self.counts:
            self.counts[name] = [a + b for a, b in zip(self.counts[name], counts, strict=True)]
            sizes = self.elements[name]
            self.elements[name] = [n + x.numel() for n, x in zip(sizes, tensors, strict=True)]
        else:
            self.counts[name] = counts
            self.elements[name] = [x.numel() for x in tensors]

    def rates(self, name: str) -> list[float]:
        """Return one rate per input, then the output's."""
        pairs = zip(self.counts[name], self.elements[name], strict=True)
        return [float(count) / max(elements, 1) for count, elements in pairs]

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
        _with_rates(o, counter.rates(o.name)) if o.name in needed else o
        for o in workload.operations
    )
    return Measurement(
        accuracy=correct / samples, workload=replace(workload, operations=operations)
    )


def _with_rates(operation: Operation, rates: list[float]) -> Operation:
    inputs = tuple(
        replace(operand, spike_rate=rate)
        for operand, rate in zip(operation.inputs, rates[:-1], strict=True)
    )
    return replace(operation, inputs=inputs, spike_rate=rates[-1])


def _watcher(counter: _Counter, name: str) -> Callable[..., None]:
    def watch(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counter.ran(name, inputs, output)

    return watch
