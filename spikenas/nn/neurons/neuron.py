"""`Neuron`: the base class of multi-step neurons.

At each step the membrane charges, fires and resets, v_0 = 0:
    H_t = charge(x_t, v_{t-1});  S_t = 1[H_t >= v_threshold];  v_t = H_t - S_t J_t
where J_t = H_t for a reset to zero and v_threshold for a reset by subtraction (``soft``).
Axes: [T, ...] in and out; T is first, all other axes are elementwise. `Neuron.definition` is that
equation under autograd. `Neuron.forward` computes the same with a kernel (`spikenas.nn.kernels`),
and `Neuron.fire` together with the batch norm before it, with an explicit backward:
    dL/dH_t = dL/dv_t (dv_t/dH_t - r J_t S'_t) + S'_t dL/dS_t,   r = 0 where the reset is detached
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from spikenas.nn.active_tokens import ActiveTokens, MaskedTokens, PackedTokens
from spikenas.nn.kernels import Dynamics, Norm, multi_step
from spikenas.nn.layout import from_rows, once, to_rows
from spikenas.nn.operations import Facts, Leaf
from spikenas.nn.surrogate import SURROGATES, Spike, Surrogate
from spikenas.workload import Kind, Signal

# (threshold: float = 1.0) in units of the gene v_threshold; returns a neuron or a substitute
NeuronFactory = Callable[..., nn.Module]
RESETS = ("subtract", "zero")


class Neuron(Leaf):
    """A neuron by its charge, threshold and reset; see the module's docstring.

    Attributes:
        charge_name: the name of `charge` in `spikenas.nn.kernels.dynamics`, which kernels use; None
            for any other charge, which then runs by `definition`.
        dh_dx, dh_dv: the derivatives of the charge, which kernels assume to be linear.
        detach_reset: whether the gradient treats the spike in the reset as a constant.
        reset: ``zero``, or ``subtract`` for a soft one, which keeps the rest above the threshold.
        spike_count: of the last call, if the kernel counts; a tensor holds partial counts.
    """

    kind = Kind.NEURON
    signal = Signal.SPIKES
    charge_name: ClassVar[str | None] = None
    dh_dx: float
    dh_dv: float
    detach_reset = True

    def __init__(
        self, *, v_threshold: float = 1.0, surrogate: str = "sigmoid", reset: str = "zero"
    ) -> None:
        super().__init__()
        if not v_threshold > 0.0:
            raise ValueError(f"v_threshold must be above 0, but is {v_threshold}")
        if reset not in RESETS:
            raise ValueError(f"reset must be one of {', '.join(RESETS)}, but is {reset!r}")
        self.v_threshold, self.reset = v_threshold, reset
        self.surrogate: Surrogate = SURROGATES[surrogate]
        self._slope = surrogate
        self.spike_count: Tensor | int | None = None

    def charge(self, x: Tensor, v: Tensor) -> Tensor:
        """Return the membrane H_t before it fires."""
        raise NotImplementedError

    def dynamics(self) -> Dynamics:
        """Return the neuron in numbers for a kernel; a learnt leak has its initial value."""
        assert self.charge_name is not None, "no kernel has this charge"
        return Dynamics(
            charge=self.charge_name,
            c=self.constant(),
            threshold=self.v_threshold,
            surrogate=self._slope,
            dh_dx=self.dh_dx,
            dh_dv=self.dh_dv,
            soft_reset=self.reset == "subtract",
            through_reset=not self.detach_reset,
        )

    def constant(self) -> float:
        """Return the constant of the charge."""
        return self.dh_dv

    def leak(self) -> Tensor | None:
        """Return k of H = v + k (x - v) if the neuron learns it."""
        return None

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return spikes [T, ...] for currents [T, ...]; halted tokens do not spike.

        The bias of batch norm would make halted tokens fire, so their spikes are masked.

        Raises:
            ValueError: there is no step, or the currents are not floating-point numbers.
        """
        self.spike_count = None
        if isinstance(active, PackedTokens) and x.dim() == 2:
            return _Rows.apply(x, active, self)  # type: ignore[no-untyped-call]
        if x.dim() == 0 or x.shape[0] == 0 or not x.is_floating_point():
            raise ValueError(
                "a neuron needs currents [T, ...] of floating point with T >= 1, but has "
                f"{x.dtype} of shape {[*x.shape]}"
            )
        # Exported graphs contain plain operations only.
        if self.charge_name is None or torch.compiler.is_exporting():
            spikes = self.definition(x)
        else:
            spikes = self.fire(once(x), x.shape[0])
        if isinstance(active, MaskedTokens) and x.dim() == 4:
            self.spike_count = None
            return active.masked(spikes)
        return spikes

    def fire(self, x: Tensor, num_steps: int, norm: Norm | None = None) -> Tensor:
        """Return spikes [T, ...] with one kernel, which also applies the batch norm to x.

        x is [T, ...], or [1, ...] for T equal steps.
        """
        is_dense = norm is None and x.is_contiguous()
        rows = x if is_dense else to_rows(x)
        spikes, self.spike_count = multi_step(rows, num_steps, self.dynamics(), self.leak(), norm)
        return spikes if is_dense else from_rows(spikes, like=x)

    def definition(self, x: Tensor) -> Tensor:
        """Compute the same as `forward`, step by step under autograd."""
        v = torch.zeros_like(x[0])
        spikes = []
        for x_t in x.unbind(0):
            h = self.charge(x_t, v)
            u = h - self.v_threshold
            s: Tensor = Spike.apply(u, self.surrogate)  # type: ignore[no-untyped-call]
            v = self.after(h, s.detach() if self.detach_reset else s)
            spikes.append(s)
        return torch.stack(spikes)

    def after(self, h: Tensor, s: Tensor) -> Tensor:
        """Return the membrane after the reset."""
        return h * (1.0 - s) if self.reset == "zero" else h - self.v_threshold * s

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """One membrane per element of one step."""
        membranes, numbers = prod(output.shape[2:]), self.numbers()
        if "leak" not in numbers:
            numbers = {**numbers, "neuron": type(self).__name__}
        return Facts(neurons=membranes, state=membranes, attributes=numbers)

    def numbers(self) -> dict[str, int | float | str]:
        """Return the numbers that a chip needs for each membrane.

        ``leak`` is the fraction of the membrane that is lost per step. A neuron of other dynamics
        must not have it, and is then refused by chips and by NIR.
        """
        numbers: dict[str, int | float | str] = {"v_threshold": self.v_threshold}
        if self.charge_name is not None:
            numbers["leak"] = 1.0 - self.dh_dv
        return {**numbers, "reset": self.reset}

    def extra_repr(self) -> str:
        """Show the threshold."""
        return f"v_threshold={self.v_threshold:g}"


class _Rows(torch.autograd.Function):
    """Spikes [R, D] of active tokens; the number of membranes decreases from step to step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, active: PackedTokens, neuron: Neuron) -> Tensor:
        v = x.new_zeros(len(active.tokens), x.shape[1])
        spikes = torch.empty_like(x)
        for x_t, s_t in zip(active.steps(x), active.steps(spikes), strict=True):
            h = neuron.charge(x_t, v[: len(x_t)])
            torch.ge(h, neuron.v_threshold, out=s_t)
            v = neuron.after(h, s_t)
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        raise RuntimeError(
            "evaluation computes the rows of active tokens only, which have no gradient; for "
            "gradients in evaluation mode set network.halting.is_compact = False"
        )
