"""`trace`: a network's Workload without data; one pass of an empty batch past its leaves.

The leaves say what they cost; here is only written down who feeds whom. Every tensor is known by
the leaf that made it, and `spikenas.nn.layout` tells of tensors that merely change shape.
`trace_architecture` gives the same of an architecture. It remembers the parts that it has seen, by
operator, configuration and input shape, and builds but the others; all neurons answer currents by
spikes of the same shape, so a part is remembered without them, and they tell their facts anew.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from spikenas.architecture import Architecture, InputSpec
from spikenas.nn.layout import follow
from spikenas.nn.network import SpikingTransformer
from spikenas.nn.neurons.neuron import Neuron
from spikenas.nn.operations import Facts, Leaf
from spikenas.nn.parts import Part, neuron_factory, pieces
from spikenas.workload import Operand, Operation, Signal, Workload


@dataclass(frozen=True, slots=True)
class _Origin:
    source: str
    signal: Signal
    has_time: bool  # whether the first axis is that of the steps


class _Recorder:
    """Sees every leaf run, and knows where each living tensor comes from."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._origins = WeakTensorKeyDictionary()

    def starts_with(self, x: Tensor, signal: Signal, *, has_time: bool) -> None:
        """Name the input."""
        self._origins[x] = _Origin("input", signal, has_time)

    def reshaped(self, old: Tensor, new: Tensor) -> None:
        """Let ``new`` have the origin of ``old``; the network's input gets its steps here."""
        self._origins[new] = replace(self._origins[old], has_time=True)

    def ran(self, name: str, leaf: Leaf, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Write one operation down."""
        origins: list[_Origin] = [self._origins[x] for x in inputs]
        facts = leaf.facts(inputs, output)
        signal = leaf.carries([origin.signal for origin in origins])
        has_time = any(origin.has_time for origin in origins)
        keeps_time = has_time and not facts.ends_time
        self._origins[output] = _Origin(name, signal, keeps_time)
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
                macs=facts.macs,
                steps=inputs[0].shape[0] if has_time else 1,
                weights=facts.weights,
                biases=facts.biases,
                neurons=facts.neurons,
                state=facts.state,
                attributes=facts.attributes,
            )
        )


def trace(network: SpikingTransformer) -> Workload:
    """Return the workload, without rates. The network's own device, type and mode do not matter."""
    a = network.architecture
    recorder = _Recorder()
    x = torch.empty(_input_shape(a.input, a.num_steps))
    recorder.starts_with(x, _image_signal(a.input), has_time=False)
    _run(recorder, network, x)
    return Workload(
        operations=tuple(recorder.operations),
        num_steps=a.num_steps,
        parameters=_count_parameters(network),
    )


@lru_cache(maxsize=4096)
def trace_architecture(architecture: Architecture) -> Workload:
    """Return the workload of an architecture, building it without memory."""
    a = architecture
    neuron = lru_cache(neuron_factory(a))
    operations: list[Operation] = []
    parameters = 0
    source, signal = "input", _image_signal(a.input)
    for part in pieces(a):
        seen = _remembered(part, signal)
        for operation in seen.operations:
            operations.append(_placed(operation, part.name, source, a.num_steps))
            if _UNITS in operation.attributes:
                made = neuron(operation.attributes[_UNITS])
                operations[-1] = _told_by(made, operations[-1])
                parameters += _count_parameters(made)
        parameters += seen.parameters
        if not part.is_aside:
            source, signal = operations[-1].name, operations[-1].signal
    return Workload(operations=tuple(operations), num_steps=a.num_steps, parameters=parameters)


_STEPS = 2  # of a remembered part, so that operations that run once are told apart
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class _Seen:
    """A part's operations, named from within, those of its neurons as `_AnyNeuron` tells them."""

    operations: tuple[Operation, ...]
    parameters: int


_memory: OrderedDict[Hashable, _Seen] = OrderedDict()


def _remembered(part: Part, signal: Signal) -> _Seen:
    key = (part.key, part.input_shape, signal)
    if key not in _memory:
        with torch.device("meta"), _Undrawn():
            module = part.build(neuron=_AnyNeuron)
        recorder = _Recorder()
        x = torch.empty(_STEPS, 0, *part.input_shape)
        recorder.starts_with(x, signal, has_time=True)
        _run(recorder, module, x)
        _memory[key] = _Seen(tuple(recorder.operations), _count_parameters(module))
        if len(_memory) > _REMEMBERED:
            _memory.popitem(last=False)
    _memory.move_to_end(key)
    return _memory[key]


_UNITS = "v_threshold in units of the gene"


class _AnyNeuron(Neuron):
    """Stands in a remembered part for the neurons of all architectures."""

    def __init__(self, threshold: float = 1.0) -> None:
        super().__init__(v_threshold=threshold, surrogate="sigmoid")

    def forward(self, x: Tensor) -> Tensor:
        return torch.empty_like(x)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        return Facts(attributes={_UNITS: self.v_threshold})


class _Undrawn(TorchFunctionMode):
    """Leaves out the drawing of first weights, most of the time that building takes."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        module, name = getattr(func, "__module__", ""), getattr(func, "__name__", "")
        if module == "torch.nn.init" or name in ("normal_", "uniform_", "zero_", "fill_"):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


class _Unconvolved(TorchFunctionMode):
    """Answers convolutions by their shape; PyTorch's would lay out their whole weights first."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func not in (F.conv1d, F.conv2d):
            return func(*args, **(kwargs or {}))
        given = dict(zip(("x", "weight", "bias", "stride", "padding"), args, strict=False))
        given |= kwargs or {}
        x, weight = given["x"], given["weight"]
        dims = range(x.dim() - 2)
        stride, padding = (_each(given.get(n, d), x) for n, d in (("stride", 1), ("padding", 0)))
        sizes = (
            (x.shape[2 + i] + 2 * padding[i] - weight.shape[2 + i]) // stride[i] + 1 for i in dims
        )
        return x.new_empty(x.shape[0], weight.shape[0], *sizes)


def _each(value: Any, x: Tensor) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,) * (x.dim() - 2)


def _placed(operation: Operation, part: str, source: str, num_steps: int) -> Operation:
    """Return an operation of a part as it is in its network."""
    return replace(
        operation,
        name=_joined(part, operation.name),
        inputs=tuple(
            replace(
                operand,
                source=source if operand.source == "input" else _joined(part, operand.source),
            )
            for operand in operation.inputs
        ),
        steps=num_steps if operation.steps == _STEPS else operation.steps,
    )


def _told_by(neuron: Neuron, operation: Operation) -> Operation:
    """Return the operation of `_AnyNeuron` with the facts of a real one."""
    x = torch.empty(operation.steps, 0, *operation.output_shape)
    facts = neuron.facts((x,), x)
    return replace(
        operation,
        macs=facts.macs,
        weights=facts.weights,
        biases=facts.biases,
        neurons=facts.neurons,
        state=facts.state,
        attributes=facts.attributes,
    )


def _joined(part: str, name: str) -> str:
    return f"{part}.{name}" if name else part


def _run(recorder: _Recorder, module: nn.Module, x: Tensor) -> None:
    """Run the module in evaluation mode, its leaves watched."""
    hooks = [
        leaf.register_forward_hook(_writer(recorder, name))
        for name, leaf in module.named_modules()
        if isinstance(leaf, Leaf)
    ]
    token = follow.set(recorder.reshaped)
    was_training = module.training
    try:
        module.eval()
        with torch.no_grad(), _Unconvolved():
            torch.func.functional_call(module, _without_memory(module), (x,))
    finally:
        module.train(was_training)
        follow.reset(token)
        for hook in hooks:
            hook.remove()


def _writer(recorder: _Recorder, name: str) -> Callable[..., None]:
    def write(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, Leaf)
        recorder.ran(name, module, inputs, output)

    return write


def _without_memory(module: nn.Module) -> dict[str, Tensor]:
    """Return tensors of the shapes of all weights, each one number in memory.

    A single weight keeps its value where it has one: a neuron tells its time constant by it.
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


def _input_shape(spec: InputSpec, num_steps: int) -> tuple[int, ...]:
    image = (spec.channels, spec.height, spec.width)
    return (0, num_steps, *image) if spec.kind == "events" else (0, *image)


def _of_one_sample(x: Tensor, *, has_time: bool) -> tuple[int, ...]:
    """Return the shape of one sample at one step."""
    return tuple(x.shape[2 if has_time else 1 :])


def _count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
