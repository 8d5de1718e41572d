"""The neurons of the published systems, from SpikingJelly 2.0.

On a CPU a multi-step `LIFNode` runs SpikingJelly's registered Torch operator, which is the fastest
that 2.0.0 has there. A surrogate of one's own, as STMixer needs, is run step by step instead.
"""

from math import tanh
from typing import Any

import torch
from spikingjelly.activation_based import (  # type: ignore[import-untyped]  # no types
    functional,
    neuron,
    surrogate,
)
from torch import Tensor, nn

reset = functional.reset_net


def lif(v_threshold: float = 1.0) -> nn.Module:
    """Return the LIF of Spikformer and QKFormer: tau 2, the reset detached, sigmoid of 4."""
    node: nn.Module = neuron.LIFNode(
        tau=2.0,
        v_threshold=v_threshold,
        surrogate_function=surrogate.Sigmoid(4.0),
        detach_reset=True,
        step_mode="m",
    )
    return node


def stmixer_lif() -> nn.Module:
    """Return the LIF of STMixer: 0.5 v + x, gradients through the reset, Dspike."""
    node: nn.Module = neuron.LIFNode(
        tau=2.0,
        decay_input=False,
        surrogate_function=Dspike(),
        detach_reset=False,
        step_mode="m",
    )
    return node


class Dspike(surrogate.SurrogateFunctionBase):  # type: ignore[misc]  # no types
    """The slope of Li 2021: ``gamma (1 - tanh(gamma u)^2) / (2 tanh gamma)`` for |u| <= 1."""

    def __init__(self, gamma: float = 2.5, spiking: bool = True) -> None:
        super().__init__(spiking=spiking, gamma=gamma)

    @staticmethod
    def spiking_function(x: Tensor, gamma: float) -> Tensor:
        """Return spikes."""
        spikes: Tensor = _Dspike.apply(x, gamma)  # type: ignore[no-untyped-call]
        return spikes

    @staticmethod
    def primitive_function(x: Tensor, gamma: float) -> Tensor:
        """Return the curve whose slope it is."""
        return 0.5 + torch.tanh(gamma * x.clamp(-1.0, 1.0)) / (2.0 * tanh(gamma))


class _Dspike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.gamma = gamma
        return surrogate.heaviside(x)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        slope = ctx.gamma / (2.0 * tanh(ctx.gamma)) * (1.0 - torch.tanh(ctx.gamma * x).square())
        return grads[0] * slope * (x.abs() <= 1.0), None
