"""`Neuron`: what all multi-step neurons share.

At each step the membrane charges, fires and resets, v_0 = 0:
    H_t = charge(x_t, v_{t-1});  S_t = 1[H_t >= v_threshold];  v_t = (1 - S_t) H_t
Axes: [T, ...] in and out; T is first and nothing else is touched. `Neuron.definition` is that
equation under autograd; `Neuron.forward` gives the same with a backward written by hand:
    dL/dH_t = dL/dv_t ((1 - S_t) - r H_t S'_t) + S'_t dL/dS_t,   r = 0 where the reset is detached
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from spikenas.nn import layout
from spikenas.nn.active_tokens import MaskedTokens, PackedTokens
from spikenas.nn.kernels import CPUKernel, cpu_kernel
from spikenas.nn.kernels.cpu import Law
from spikenas.nn.operations import Facts, Leaf
from spikenas.nn.surrogate import SURROGATES, Spike, Surrogate
from spikenas.workload import Kind, Signal

# (threshold: float = 1.0), in units of the gene; makes a neuron, or what stands in for one
NeuronFactory = Callable[..., nn.Module]


class Neuron(Leaf):
    """A neuron whose charge is linear in its input and membrane; see the module's docstring.

    Attributes:
        law: what `charge` is called in the fast kernels.
        dh_dx, dh_dv: the derivatives of the charge.
        detach_reset: whether the gradient treats the spike in the reset as a constant.
    """

    kind = Kind.NEURON
    law: ClassVar[str]
    dh_dx: float
    dh_dv: float
    detach_reset: bool

    def __init__(self, *, v_threshold: float, surrogate: str) -> None:
        super().__init__()
        self.v_threshold = v_threshold
        self.surrogate: Surrogate = SURROGATES[surrogate]
        self._slope = surrogate

    def charge(self, x: Tensor, v: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the membrane H_t before it fires, written to ``out`` where one is given."""
        raise NotImplementedError

    def kernel_law(self, leak: Tensor | None) -> Law:
        """Return the neuron in numbers, as a kernel reads it."""
        c = self.constant() if leak is None else float(leak)
        return Law(
            name=self.law,
            c=c,
            threshold=self.v_threshold,
            slope=self._slope,
            dh_dx=self.dh_dx if leak is None else c,
            dh_dv=self.dh_dv if leak is None else 1.0 - c,
            through_reset=not self.detach_reset,
        )

    def constant(self) -> float:
        """Return the one number in the law of the charge."""
        return self.dh_dv

    def leak(self) -> Tensor | None:
        """Return the learnt part k of H = v + k (x - v), where the neuron learns it."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes [T, ...] for currents [T, ...]; of tokens, those of the active ones.

        Batch norm has a bias, so a halted token would fire: its spikes [T, B, N, D] are masked.
        """
        active = layout.active_tokens()
        if isinstance(active, PackedTokens) and x.dim() == 2:
            rows: Tensor = _Rows.apply(x, active, self)  # type: ignore[no-untyped-call]
            return rows
        if torch.compiler.is_exporting():  # graphs for others hold plain operations only
            spikes = self.definition(x)
        else:
            spikes = _MultiStep.apply(x, self.leak(), self)  # type: ignore[no-untyped-call]
        if isinstance(active, MaskedTokens) and x.dim() == 4:
            return active.masked(spikes)
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
        membranes = prod(output.shape[2:])
        return Facts(neurons=membranes, state=membranes, attributes=self.numbers())

    def numbers(self) -> dict[str, int | float | str]:
        """Return what a chip must know of each membrane."""
        return {"v_threshold": self.v_threshold, "leak": 1.0 - self.dh_dv, "reset": "zero"}

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Zeros and ones."""
        return Signal.SPIKES

    def extra_repr(self) -> str:
        """Show the threshold."""
        return f"v_threshold={self.v_threshold:g}"


class _MultiStep(torch.autograd.Function):
    """All steps at once: few saved tensors, and no graph of T times six operations."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, leak: Tensor | None, neuron: Neuron) -> Tensor:
        x = x.contiguous()
        kernel = cpu_kernel() if CPUKernel.takes(x) else None
        ctx.kernel, ctx.neuron = kernel, neuron
        if kernel is not None:
            ctx.law = neuron.kernel_law(leak)
            ctx.save_for_backward(x, *(() if leak is None else (leak,)))
            return kernel.forward(x, ctx.law)
        h, spikes = torch.empty_like(x), torch.empty_like(x)
        v = torch.zeros_like(x[0])
        for x_t, h_t, s_t in zip(x.unbind(0), h.unbind(0), spikes.unbind(0), strict=True):
            neuron.charge(x_t, v, out=h_t)
            torch.ge(h_t, neuron.v_threshold, out=s_t)
            torch.addcmul(h_t, h_t, s_t, value=-1.0, out=v)  # (1 - S) H
        ctx.save_for_backward(h, spikes, *(() if leak is None else (x, leak)))
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None]:
        if ctx.kernel is not None:
            x, *leaks = ctx.saved_tensors
            grad_x, grad_leak = ctx.kernel.backward(x, grads[0].contiguous(), ctx.law)
            return grad_x, leaks[0].new_tensor(grad_leak) if leaks else None, None
        return _backward_step_by_step(ctx, grads[0])


def _backward_step_by_step(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
    h, spikes, *learnt = ctx.saved_tensors
    neuron: Neuron = ctx.neuron
    dh_dx, dh_dv = neuron.dh_dx, neuron.dh_dv
    if learnt:
        dh_dx = float(learnt[1])
        dh_dv = 1.0 - dh_dx
    grad_h = neuron.surrogate(h - neuron.v_threshold)  # dS/dH, then dL/dH in place
    kept = 1.0 - spikes  # dv/dH
    if not neuron.detach_reset:
        kept = torch.addcmul(kept, h, grad_h, value=-1.0)
    grad_h.mul_(grad)
    for t in range(h.shape[0] - 2, -1, -1):
        grad_h[t].addcmul_(grad_h[t + 1], kept[t], value=dh_dv)
    grad_leak = None
    if learnt:
        before = (h - h * spikes)[:-1]  # v_{t-1}; zero at the first step
        drive = learnt[0].clone()
        drive[1:] -= before  # dH/dk = x_t - v_{t-1}
        grad_leak = (grad_h * drive).sum().view_as(learnt[1])
    return grad_h.mul_(dh_dx), grad_leak, None


class _Rows(torch.autograd.Function):
    """Spikes [R, D] of active tokens; at each step there are fewer membranes left."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, active: PackedTokens, neuron: Neuron) -> Tensor:
        v = x.new_zeros(len(active.tokens), x.shape[1])
        spikes = torch.empty_like(x)
        for x_t, s_t in zip(active.steps(x), active.steps(spikes), strict=True):
            h = neuron.charge(x_t, v[: len(x_t)])
            torch.ge(h, neuron.v_threshold, out=s_t)
            v = torch.addcmul(h, h, s_t, value=-1.0)
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        raise RuntimeError(
            "evaluation computes the rows of active tokens alone, which have no gradient; for "
            "gradients in evaluation mode set network.halting.is_compact = False"
        )
