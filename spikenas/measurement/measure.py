"""`measure`: accuracy, spike rates and events of a network on data, in one pass."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from spikenas.measurement.trace import as_learnt, trace_architecture
from spikenas.nn.active_tokens import ActiveTokens, by_sample
from spikenas.nn.block import Block
from spikenas.nn.kernels import count_non_zero
from spikenas.nn.layers import Counted, Layer, Seen
from spikenas.nn.layout import once
from spikenas.nn.network import SpikingTransformer
from spikenas.nn.neurons.neuron import Neuron
from spikenas.nn.operations import Leaf
from spikenas.workload import Kind, Operation, Signal, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The accuracy, 0 to 1, and the workload with the spike rate of every operand."""

    accuracy: float
    workload: Workload


class _Counter:
    """Counts of each operation, summed over batches; they stay on the device."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations = {operation.name: operation for operation in operations}
        self.samples = 0  # including the current batch
        self.batch = 0
        self.active: ActiveTokens | None = None  # in the current block
        self._non_zeros: dict[str, list[Tensor | int]] = {}  # of inputs and output
        self._events: dict[str, Tensor | int] = {}
        self._active: dict[str, Tensor | int] = {}  # in samples x steps
        self._known = WeakTensorKeyDictionary()  # one tensor feeds several operations

    def starts(self, batch: int) -> None:
        """Begin a batch of this many samples."""
        self.batch = batch
        self.samples += batch

    def ran(self, name: str, seen: Seen) -> None:
        """Count one operation of one batch."""
        operation, leaf = self.operations[name], seen.leaf
        if isinstance(leaf, Neuron) and leaf.spike_count is not None:
            n = leaf.spike_count
            self._known[seen.output] = n if isinstance(n, int) else n.sum()
        counts = [
            self._non_zero(x) if is_read and x is not None else 0
            for x, is_read in zip((*seen.inputs, seen.output), _read(operation), strict=True)
        ]
        before = self._non_zeros.get(name)
        if before is not None:
            counts = [a + b for a, b in zip(before, counts, strict=True)]
        self._non_zeros[name] = counts
        events = self._events_of(seen)
        if events is not None:
            self._events[name] = self._events.get(name, 0) + events
        self._active[name] = self._active.get(name, 0) + self._active_now(operation)

    def measured(self, name: str) -> Operation:
        """Return the operation with its counts; elements of halted tokens count as zeros."""
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
        found = replace(operation, inputs=inputs, spike_rate=rates[-1], active_share=active_share)
        counted = self._events.get(name)
        return replace(
            found, events=found.synops if counted is None else float(counted) / self.samples
        )

    def _events_of(self, seen: Seen) -> Tensor | int | None:
        if seen.events is not None:
            return seen.events.number
        inputs: Any = seen.inputs
        if seen.leaf.kind is Kind.SPIKE_PRODUCT:
            inputs = [by_sample(x, self.active) for x in inputs]
        return seen.leaf.events(inputs, seen.output, self._non_zero)  # type: ignore[arg-type]

    def _non_zero(self, x: Tensor | Counted) -> Tensor | int:
        if isinstance(x, Counted):
            return x.number
        count: Tensor | int | None = self._known.get(x)
        if count is None:
            shown = once(x)
            count = self._known[x] = count_non_zero(shown) * (len(x) // max(len(shown), 1))
        return count

    def _active_now(self, operation: Operation) -> Tensor | int:
        """Return the active share of tokens, or of their pairs, summed over samples and steps."""
        active = self.active
        has_tokens = any(len(x.shape) > 1 for x in operation.inputs)
        if active is None or not has_tokens:
            return operation.steps * self.batch
        tokens = operation.inputs[-1].shape[-2]
        share = active.counts.double() / tokens  # [T, B]
        return (share**2 if operation.kind is Kind.SPIKE_PRODUCT else share).sum()


def _read(operation: Operation) -> list[bool]:
    """Return which inputs, and whether the output, are counted.

    Membranes are counted only if a product reads them; otherwise every computed element counts as
    non-zero.
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
        module.register_forward_hook(_watcher(counter, name))
        for name, module in network.named_modules()
        if isinstance(module, Layer) or (isinstance(module, Leaf) and not _is_inside(name, network))
    ]
    blocks = (module for module in network.modules() if isinstance(module, Block))
    hooks += [
        part.register_forward_pre_hook(_starter(counter), with_kwargs=True)
        for part in (network.stem, network.head, *network.downsampling, *blocks)
    ]
    was_training = network.training
    correct = 0
    try:
        network.eval()
        with torch.no_grad():
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
        as_learnt(counter.measured(o.name), network) if o.name in counter.operations else o
        for o in workload.operations
    )
    return Measurement(
        accuracy=correct / counter.samples, workload=replace(workload, operations=operations)
    )


def _is_inside(name: str, network: nn.Module) -> bool:
    """Whether a module is inside a layer, which reports its operations itself."""
    return isinstance(network.get_submodule(name.rpartition(".")[0]), Layer)


def _starter(counter: _Counter) -> Callable[..., None]:
    def start(module: nn.Module, inputs: tuple[Any, ...], given: dict[str, Any]) -> None:
        counter.active = given.get("active")

    return start


def _watcher(counter: _Counter, name: str) -> Callable[..., None]:
    def watch(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, Layer):
            inside = [(f"{name}.{s.name}", s) for s in module.seen(inputs, output, counter.active)]
        else:
            assert isinstance(module, Leaf)
            inside = [(name, Seen("", module, inputs, output))]
        for place, seen in inside:
            if place in counter.operations:
                counter.ran(place, seen)

    return watch
