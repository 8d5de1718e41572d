"""`measure`: accuracy, spike rates and events of a network on data, in one pass."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from spikenas.measurement.trace import trace_architecture
from spikenas.nn import layout
from spikenas.nn.deferred import Deferred
from spikenas.nn.kernels import count_non_zero
from spikenas.nn.network import SpikingTransformer
from spikenas.nn.neurons.neuron import Neuron, telling
from spikenas.nn.operations import Leaf
from spikenas.workload import Kind, Operation, Signal, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was seen: accuracy 0 to 1, and the workload with the rate on every operand."""

    accuracy: float
    workload: Workload


class _Counter:
    """What each operation saw, summed over batches; figures stay on the device."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations = {operation.name: operation for operation in operations}
        self.samples = 0  # those of the batch at hand among them
        self.batch = 0
        self._non_zeros: dict[str, list[Tensor | int]] = {}  # of inputs and output
        self._events: dict[str, Tensor | int] = {}
        self._active: dict[str, Tensor | int] = {}  # in samples x steps
        self._known = WeakTensorKeyDictionary()  # one tensor feeds several operations

    def starts(self, batch: int) -> None:
        """Say how many samples come next."""
        self.batch = batch
        self.samples += batch

    def fired(self, spikes: Tensor, count: Tensor | int) -> None:
        """Take over what a neuron's kernel has counted."""
        self._known[spikes] = count

    def ran(self, name: str, leaf: Leaf, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Count one operation of one batch."""
        operation = self.operations[name]
        counts = [
            self._non_zero(x) if is_read else 0
            for x, is_read in zip((*inputs, output), _read(operation), strict=True)
        ]
        before = self._non_zeros.get(name)
        if before is not None:
            counts = [a + b for a, b in zip(before, counts, strict=True)]
        self._non_zeros[name] = counts
        events = leaf.events(inputs, output, self._non_zero)
        if events is not None:
            self._events[name] = self._events.get(name, 0) + events
        self._active[name] = self._active.get(name, 0) + self._active_now(operation)

    def measured(self, name: str) -> Operation:
        """Return the operation with what was counted; elements of halted tokens are zeros."""
        operation = self.operations[name]
        runs = self.samples * operation.steps
        shapes = (*(operand.shape for operand in operation.inputs), operation.output_shape)
        active_share = float(self._active[name]) / runs
        rates = [
            float(count) / (runs * prod(shape)) if is_read else active_share
            for count, shape, is_read in zip(
                self._non_zeros[name], shapes, _read(operation), strict=True
            )
        ]
        inputs = tuple(
            replace(operand, spike_rate=rate)
            for operand, rate in zip(operation.inputs, rates[:-1], strict=True)
        )
        found = replace(
            operation,
            inputs=inputs,
            spike_rate=rates[-1],
            active_share=active_share,
        )
        counted = self._events.get(name)
        return replace(
            found, events=found.synops if counted is None else float(counted) / self.samples
        )

    def _non_zero(self, x: Tensor) -> Tensor | int:
        count: Tensor | int | None = self._known.get(x)
        if count is None:
            found = x.count_non_zero() if isinstance(x, Deferred) else count_non_zero(x)
            count = self._known[x] = found
        return count

    def _active_now(self, operation: Operation) -> Tensor | int:
        """Return the active share of tokens, or of their pairs, summed over samples and steps."""
        active = layout.active_tokens()
        has_tokens = any(len(x.shape) > 1 for x in operation.inputs)
        if active is None or not has_tokens:
            return operation.steps * self.batch
        tokens = operation.inputs[-1].shape[-2]
        share = active.counts.double() / tokens  # [T, B]
        return (share**2 if operation.kind is Kind.SPIKE_PRODUCT else share).sum()


def _read(operation: Operation) -> list[bool]:
    """Tell of inputs and output which are counted; membranes only where a product reads them.

    Else each element that was computed stands for one that is not zero.
    """
    is_product = operation.macs > 0
    inputs = [is_product or x.signal is not Signal.MEMBRANE for x in operation.inputs]
    return [*inputs, operation.signal is not Signal.MEMBRANE]


def measure(network: SpikingTransformer, batches: Iterable[tuple[Tensor, Tensor]]) -> Measurement:
    """Run ``batches`` of (images [B, C, H, W], labels [B]) in evaluation mode.

    Raises:
        ValueError: there is no sample.
    """
    workload = trace_architecture(network.architecture)
    counter = _Counter(o for o in workload.operations if o.macs or o.neurons)
    hooks = [
        leaf.register_forward_hook(_watcher(counter, name))
        for name, leaf in network.named_modules()
        if isinstance(leaf, Leaf) and name in counter.operations
    ]
    was_training = network.training
    correct = 0
    try:
        network.eval()
        with torch.no_grad(), telling(counter.fired):
            for images, labels in batches:
                counter.starts(len(labels))
                correct += int((network(images).argmax(1) == labels).sum())
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    if counter.samples == 0:
        raise ValueError("measure needs at least one sample, but the batches are empty")
    operations = tuple(
        _as_learnt(counter.measured(o.name), network) if o.name in counter.operations else o
        for o in workload.operations
    )
    return Measurement(
        accuracy=correct / counter.samples, workload=replace(workload, operations=operations)
    )


def _as_learnt(operation: Operation, network: nn.Module) -> Operation:
    """Return a neuron with the time constant that it has learnt, anything else as it is."""
    if operation.kind is not Kind.NEURON:
        return operation
    neuron = network.get_submodule(operation.name)
    assert isinstance(neuron, Neuron)
    return replace(operation, attributes=neuron.numbers())


def _watcher(counter: _Counter, name: str) -> Callable[..., None]:
    def watch(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, Leaf)
        counter.ran(name, module, inputs, output)

    return watch
