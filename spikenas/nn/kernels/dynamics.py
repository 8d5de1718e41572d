"""`Dynamics` and `Affine`: the parameters of a multi-step neuron and its norm, for backends."""

from collections.abc import Callable
from dataclasses import astuple, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

# H from the current y, the membrane v and the one constant c, written to ``out``.
Charge = Callable[[Tensor, Tensor, float, Tensor], Tensor]
CHARGES: dict[str, Charge] = {
    "leaky": lambda y, v, c, out: torch.sub(y, v, out=out).div_(c).add_(v),
    "decay": lambda y, v, c, out: torch.add(y, v, alpha=c, out=out),
    "learnt": lambda y, v, c, out: torch.sub(y, v, out=out).mul_(c).add_(v),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """How a membrane charges, fires and resets, and how gradients flow.

    Attributes:
        charge: ``leaky`` v + (y - v) / c, ``decay`` y + c v, ``learnt`` v + c (y - v).
        surrogate: name of the slope dS/dH.
        soft_reset: v = H - threshold where it fires, else v = 0.
        through_reset: whether gradients flow through the spike in the reset.
    """

    charge: str
    c: float
    threshold: float
    surrogate: str
    dh_dx: float
    dh_dv: float
    soft_reset: bool
    through_reset: bool

    def packed(self) -> tuple[str | float | bool, ...]:
        """Return plain values for a PyTorch custom operator."""
        return astuple(self)

    @classmethod
    def unpacked(cls, leak: Tensor | None, *values: Any) -> "Dynamics":
        """Return what was packed, with the current value of a learnt leak."""
        names = (field.name for field in fields(cls))
        dynamics = cls(**dict(zip(names, values, strict=True)))
        return dynamics if leak is None else dynamics.with_leak(float(leak))

    def with_leak(self, leak: float) -> "Dynamics":
        """Return the dynamics with a learnt k of H = v + k (y - v)."""
        return replace(self, c=leak, dh_dx=leak, dh_dv=1.0 - leak)


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """``y = scale x + shift`` of each channel [C]; gradients sum dL/dy (x - centre)."""

    scale: Tensor
    shift: Tensor
    centre: Tensor
