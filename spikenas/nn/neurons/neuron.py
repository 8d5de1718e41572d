"""`Neuron`: what all multi-step neurons share.

At each step the membrane charges, fires and resets, v_0 = 0:
    H_t = charge(x_t, v_{t-1});  S_t = 1[H_t >= v_threshold];  v_t = (1 - S_t) H_t
Axes: [T, ...] in and out; T is first and nothing else is touched. `Neuron.definition` is that
equation under autograd; `Neuron.forward` gives the same with a backward written by hand:
    dL/dH_t = dL/dv_t ((1 - S_t) - r H_t S'_t) + S'_t dL/dS_t,   r = 0 where the reset is detached
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from spikenas.nn.operations import Facts, Leaf
from spikenas.nn.surrogate import Spike, Surrogate
from spikenas.workload import Kind, Signal

NeuronFactory = Callable[..., "Neuron"]  # (threshold: float = 1.0), in units of the gene


class Neuron(Leaf):
    """A neuron whose charge is linear in its input and membrane; see the module's docstring.

    Attributes:
        dh_dx, dh_dv: the derivatives of the charge.
        detach_reset: whether the gradient treats the spike in the reset as a constant.
    """

    kind = Kind.NEURON
    surrogate: Surrogate
    dh_dx: float
    dh_dv: float
    detach_reset: bool

    def __init__(self, *, v_threshold: float) -> None:
        super().__init__()
        self.v_threshold = v_threshold

    def charge(self, x: Tensor, v: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the membrane H_t before it fires, written to ``out`` where one is given."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes [T, ...] for currents [T, ...]."""
        spikes: Tensor = _MultiStep.apply(x, self)  # type: ignore[no-untyped-call]
        return spikes

    def definition(self, x: Tensor) -> Tensor:
        """Return the same as `forward`, step by step under autograd."""
        v = torch.zeros_like(x[0])
        spikes = []
        for x_t in x.unbind(0):
            h = self.charge(x_t, v)
            u = h - self.v_threshold
            s: Tensor = Spike.apply(u, self.surrogate)  # type: ignore[no-untyped-call]
            v = h * (1.0 - (s.detach() if self.detach_reset else s))
            spikes.append(s)
        return torch.stack(spikes)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """One membrane per element of a step."""
        return Facts(
            neurons=output[0, 0].numel(),
            attributes={"v_threshold": self.v_threshold, "leak": 1.0 - self.dh_dv, "reset": "zero"},
        )

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Zeros and ones."""
        return Signal.SPIKES

    def extra_repr(self) -> str:
        """Show the threshold."""
        return f"v_threshold={self.v_threshold:g}"


class _MultiStep(torch.autograd.Function):
    """All steps at once: one saved tensor, and no graph of T times six operations."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, neuron: Neuron) -> Tensor:
        if x.is_meta:
            return torch.empty_like(x)
        x = x.contiguous()
        h, spikes = torch.empty_like(x), torch.empty_like(x)
        v = torch.zeros_like(x[0])
        for x_t, h_t, s_t in zip(x.unbind(0), h.unbind(0), spikes.unbind(0), strict=True):
            neuron.charge(x_t, v, out=h_t)
            torch.ge(h_t, neuron.v_threshold, out=s_t)
            torch.addcmul(h_t, h_t, s_t, value=-1.0, out=v)  # (1 - S) H
        ctx.save_for_backward(h, spikes)
        ctx.neuron = neuron
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        h, spikes = ctx.saved_tensors
        neuron: Neuron = ctx.neuron
        grad_h = neuron.surrogate(h - neuron.v_threshold)  # dS/dH, then dL/dH in place
        kept = 1.0 - spikes  # dv/dH
        if not neuron.detach_reset:
            kept = torch.addcmul(kept, h, grad_h, value=-1.0)
        grad_h.mul_(grads[0])
        for t in range(h.shape[0] - 2, -1, -1):
            grad_h[t].addcmul_(grad_h[t + 1], kept[t], value=neuron.dh_dv)
        return grad_h.mul_(neuron.dh_dx), None
