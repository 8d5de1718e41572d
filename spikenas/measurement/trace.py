"""`trace`: a network's Workload without data, from one pass of an empty batch.

Leaves report their own costs; the trace records which operation feeds which. The origin of a tensor
is the leaf that produced it; a tensor made outside of leaves has the origin of its input.
`trace_architecture` does the same for an architecture. It caches modules by component,
configuration and input shape, and builds only those that it has not cached. All neurons return
spikes of the shape of their currents, so modules are cached without neurons, whose facts are added
for each architecture.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikenas.architecture import Architecture, InputSpec
from spikenas.nn.active_tokens import ActiveTokens
from spikenas.nn.module_specs import ModuleSpec, neuron_factory, sub_block_specs
from spikenas.nn.network import SpikingTransformer
from spikenas.nn.neurons.neuron import Neuron
from spikenas.nn.operations import Facts, Leaf
from spikenas.workload import Kind, Operand, Operation, Signal, Workload


@dataclass(frozen=True, slots=True)
class _Origin:
    source: str
    signal: Signal
    has_time: bool  # whether the first axis is that of the steps


class _Recorder:
    """Records every leaf that runs, and the origin of each tensor, which it keeps alive."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._origins: dict[int, tuple[Tensor, _Origin]] = {}  # by identity

    def starts_with(self, x: Tensor, signal: Signal) -> None:
        """Register the input."""
        self._note(x, _Origin("input", signal, has_time=True))

    def reshaped(self, old: Tensor, new: Tensor) -> None:
        """Give ``new`` the origin of ``old``, if that is known."""
        if id(old) in self._origins and id(new) not in self._origins:
            self._note(new, self._origins[id(old)][1])

    def ran(self, name: str, leaf: Leaf, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Record one operation."""
        origins = [self._origins[id(x)][1] for x in inputs]
        facts = leaf.facts(inputs, output)
        signal = leaf.carries([origin.signal for origin in origins])
        has_time = any(origin.has_time for origin in origins)
        keeps_time = has_time and not facts.ends_time
        self._note(output, _Origin(name, signal, keeps_time))
        self.operations.append(
            Operation(
                name=name,
                kind=leaf.kind,
                inputs=tuple(
                    Operand(
                        source=origin.source,
                        shape=_of_one_sample(x, has_time=origin.has_time),
                        signal=origin.signal,
                    )
                    for x, origin in zip(inputs, origins, strict=True)
                ),
                output_shape=_of_one_sample(output, has_time=keeps_time),
                signal=signal,
                steps=inputs[0].shape[0] if has_time else 1,
                **_counts(facts),
            )
        )

    def _note(self, x: Tensor, origin: _Origin) -> None:
        self._origins[id(x)] = (x, origin)


def trace(network: SpikingTransformer) -> Workload:
    """Return the workload without rates, with the learnt or changed numbers of its leaves."""
    workload = trace_architecture(network.architecture)
    operations = tuple(as_learnt(operation, network) for operation in workload.operations)
    return replace(workload, operations=operations)


def as_learnt(operation: Operation, network: SpikingTransformer) -> Operation:
    """Return a neuron or norm with its current numbers, any other operation unchanged."""
    if operation.kind not in (Kind.NEURON, Kind.BATCH_NORM):
        return operation
    leaf = network.get_submodule(operation.name)
    assert isinstance(leaf, Leaf)
    x = torch.empty(operation.steps, 0, *operation.output_shape)
    return replace(operation, attributes=leaf.facts((x,), x).attributes)


def trace_architecture(architecture: Architecture) -> Workload:
    """Return the workload of an architecture, built without memory for weights."""
    return _TRACER.trace(architecture)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The operations of a module, with relative names and with `_AnyNeuron` for neurons."""

    operations: tuple[Operation, ...]
    parameters: int


class _Tracer:
    """Traces architectures, and caches them and their modules."""

    def __init__(self, cache_size: int = 4096) -> None:
        self.trace = lru_cache(cache_size)(self._trace)
        self._seen = lru_cache(cache_size)(_seen)

    def _trace(self, a: Architecture) -> Workload:
        neuron = lru_cache(neuron_factory(a))
        operations: list[Operation] = []
        parameters = 0
        source, signal = "input", _image_signal(a.input)
        for spec in sub_block_specs(a):
            seen = self._seen(spec, signal)
            for operation in seen.operations:
                operations.append(_placed(operation, spec.name, source, a.num_steps))
                if _UNITS in operation.attributes:
                    made = neuron(operation.attributes[_UNITS])
                    operations[-1] = _with_facts_of(made, operations[-1])
                    parameters += _count_parameters(made)
            parameters += seen.parameters
            if not spec.is_aside:
                source, signal = operations[-1].name, operations[-1].signal
        return Workload(operations=tuple(operations), num_steps=a.num_steps, parameters=parameters)


_STEPS = 2  # of a cached module, to distinguish operations that run only once


def _seen(spec: ModuleSpec, signal: Signal) -> _Seen:
    """Build a module without memory, and record its operations on an input of ``signal``."""
    with torch.device("meta"), _SkipInitialisation():
        module = spec.build(neuron=_AnyNeuron)
    recorder = _Recorder()
    x = torch.empty(_STEPS, 0, *spec.input_shape)
    recorder.starts_with(x, signal)
    _run(recorder, module, x)
    return _Seen(tuple(recorder.operations), _count_parameters(module))


_UNITS = "v_threshold in units of the gene"


class _AnyNeuron(Neuron):
    """Represents the neurons of all architectures in a cached module."""

    def __init__(self, threshold: float = 1.0) -> None:
        super().__init__(v_threshold=threshold, surrogate="sigmoid")

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        return torch.empty_like(x)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        return Facts(attributes={_UNITS: self.v_threshold})


class _SkipInitialisation(TorchFunctionMode):
    """Skips drawing the initial weights, which takes most of the time of building."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        module, name = getattr(func, "__module__", ""), getattr(func, "__name__", "")
        if module == "torch.nn.init" or name in ("normal_", "uniform_", "zero_", "fill_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


class _FollowOrigins(TorchFunctionMode):
    """Tells the recorder which tensors are derived from which outside of leaves.

    Of convolutions it only computes the shape: PyTorch would first expand their whole weights.
    """

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in (F.conv1d, F.conv2d):
            return _convolved(*args, **(kwargs or {}))
        found = func(*args, **(kwargs or {}))
        if isinstance(found, Tensor) and args and isinstance(args[0], Tensor):
            self._recorder.reshaped(args[0], found)
        return found


def _convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    *_: Any,
) -> Tensor:
    strides, paddings = _each(stride, x), _each(padding, x)
    sizes = (
        (size + 2 * p - k) // s + 1
        for size, k, s, p in zip(x.shape[2:], weight.shape[2:], strides, paddings, strict=True)
    )
    return x.new_empty(x.shape[0], weight.shape[0], *sizes)


def _each(value: Any, x: Tensor) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,) * (x.dim() - 2)


def _placed(operation: Operation, prefix: str, source: str, num_steps: int) -> Operation:
    """Return an operation of a cached module with its name and source in the network."""
    return replace(
        operation,
        name=_joined(prefix, operation.name),
        inputs=tuple(
            replace(
                operand,
                source=source if operand.source == "input" else _joined(prefix, operand.source),
            )
            for operand in operation.inputs
        ),
        steps=num_steps if operation.steps == _STEPS else operation.steps,
    )


def _with_facts_of(neuron: Neuron, operation: Operation) -> Operation:
    """Return the operation of `_AnyNeuron` with the facts of a real neuron."""
    x = torch.empty(operation.steps, 0, *operation.output_shape)
    return replace(operation, **_counts(neuron.facts((x,), x)))


def _counts(facts: Facts) -> dict[str, Any]:
    names = ("macs", "weights", "biases", "neurons", "state", "attributes")
    return {name: getattr(facts, name) for name in names}


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if name else prefix


def _run(recorder: _Recorder, module: nn.Module, x: Tensor) -> None:
    """Run a module that nothing else uses in evaluation mode, and record its leaves."""
    for name, leaf in module.named_modules():
        if isinstance(leaf, Leaf):
            leaf.register_forward_hook(_writer(recorder, name))
    module.eval()
    with torch.no_grad(), _FollowOrigins(recorder):
        torch.func.functional_call(module, _without_memory(module), (x,))


def _writer(recorder: _Recorder, name: str) -> Callable[..., None]:
    def write(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, Leaf)
        recorder.ran(name, module, inputs, output)

    return write


def _without_memory(module: nn.Module) -> dict[str, Tensor]:
    """Return tensors of the shapes of all weights, each with a single number in memory.

    Scalar weights keep their value if they have one: a neuron's time constant depends on it.
    """
    number, unknown = torch.zeros(()), torch.tensor(float("nan"))
    return {
        name: number.expand(tensor.shape)
        if tensor.dim()
        else (unknown if tensor.is_meta else tensor.detach().float().cpu())
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
    }


def _image_signal(spec: InputSpec) -> Signal:
    return Signal.ANALOG if spec.kind == "frames" else Signal.COUNTS


def _of_one_sample(x: Tensor, *, has_time: bool) -> tuple[int, ...]:
    """Return the shape of one sample at one step."""
    return tuple(x.shape[2 if has_time else 1 :])


def _count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


_TRACER = _Tracer()
