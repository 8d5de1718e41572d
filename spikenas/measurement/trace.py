"""`trace`: a network's Workload without data; one pass of meta tensors past its leaves.

The leaves say what they cost; here is only written down who feeds whom. Every tensor is known by
the leaf that made it, and `spikenas.nn.layout` tells of tensors that merely change shape.
"""

from collections.abc import Callable, Collection, Mapping
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
from spikenas.nn.network import SpikingTransformer, build_network
from spikenas.nn.operations import Leaf
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

    def starts_with(self, x: Tensor, signal: Signal) -> None:
        """Name the network's input."""
        self._origins[x] = _Origin("input", signal, has_time=False)

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
    """Return the workload, without rates. The network's own device and mode do not matter."""
    a = network.architecture
    recorder = _Recorder()
    hooks = [
        leaf.register_forward_hook(_writer(recorder, name))
        for name, leaf in network.named_modules()
        if isinstance(leaf, Leaf)
    ]
    token = follow.set(recorder.reshaped)
    was_training = network.training
    try:
        x = torch.empty(_input_shape(a.input, a.num_steps), device="meta")
        recorder.starts_with(x, Signal.ANALOG if a.input.kind == "frames" else Signal.COUNTS)
        network.eval()
        with torch.no_grad(), _Shapes():
            torch.func.functional_call(network, _on_meta(network), (x,))
    finally:
        network.train(was_training)
        follow.reset(token)
        for hook in hooks:
            hook.remove()
    return Workload(
        operations=tuple(recorder.operations),
        num_steps=a.num_steps,
        parameters=sum(p.numel() for p in network.parameters()),
    )


@lru_cache(maxsize=4096)
def trace_architecture(architecture: Architecture) -> Workload:
    """Return the workload of an architecture, building it without memory."""
    with torch.device("meta"):
        network = build_network(architecture)
    return trace(network)


class _Shapes(TorchFunctionMode):
    """Answers sums, products, means and linear maps of meta tensors by their shapes alone.

    PyTorch's own way imports its compiler: three seconds and 80 MB before the first sum.
    """

    _POINTWISE = (torch.Tensor.add, torch.Tensor.mul, torch.Tensor.sub, torch.Tensor.div)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if kwargs or not any(isinstance(x, Tensor) and x.is_meta for x in args):
            return func(*args, **(kwargs or {}))
        if func in self._POINTWISE:
            shapes = [x.shape for x in args if isinstance(x, Tensor)]
            return torch.empty(torch.broadcast_shapes(*shapes), device="meta")
        if func is F.linear:
            x, weight, *_ = args
            return torch.empty(*x.shape[:-1], weight.shape[0], device="meta")
        if func is torch.Tensor.mean and len(args) == 2 and isinstance(args[1], int):
            shape = list(args[0].shape)
            del shape[args[1]]
            return torch.empty(shape, device="meta")
        return func(*args)


def _writer(recorder: _Recorder, name: str) -> Callable[..., None]:
    def write(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, Leaf)
        recorder.ran(name, module, inputs, output)

    return write


def _on_meta(network: nn.Module) -> dict[str, Tensor]:
    named = (*network.named_parameters(), *network.named_buffers())
    return {name: tensor.to("meta") for name, tensor in named}


def _input_shape(spec: InputSpec, num_steps: int) -> tuple[int, ...]:
    image = (spec.channels, spec.height, spec.width)
    return (1, num_steps, *image) if spec.kind == "events" else (1, *image)


def _of_one_sample(x: Tensor, *, has_time: bool) -> tuple[int, ...]:
    """Return the shape of one sample at one step."""
    return tuple(x.shape[2 if has_time else 1 :])
