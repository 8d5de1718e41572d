"""Surrogate derivatives dS/dH of the spike S = 1[H >= v_threshold], with u = H - v_threshold."""

from collections.abc import Callable
from math import pi, tanh
from typing import Any

import torch
from torch import Tensor

Surrogate = Callable[[Tensor], Tensor]  # u -> dS/du, any shape


def sigmoid(u: Tensor, alpha: float = 4.0) -> Tensor:
    """The slope of a logistic curve, ``alpha s (1 - s)``; alpha 4 as in Zhou 2024."""
    s = (alpha * u).sigmoid_()
    return torch.addcmul(s, s, s, value=-1.0).mul_(alpha)


def atan(u: Tensor, alpha: float = 2.0) -> Tensor:
    """The slope of an arc tangent, ``alpha / (2 (1 + (pi alpha u / 2)^2))`` (Fang 2021, PLIF)."""
    return (alpha / 2.0) / (1.0 + (pi / 2.0 * alpha * u).square())


def dspike(u: Tensor, gamma: float = 2.5) -> Tensor:
    """Return ``gamma (1 - tanh(gamma u)^2) / (2 tanh gamma)`` for |u| <= 1, else 0 (Li 2021)."""
    inside = (u.abs() <= 1.0).to(u.dtype)
    return inside * (gamma / (2.0 * tanh(gamma))) * (1.0 - torch.tanh(gamma * u).square())


SURROGATES: dict[str, Surrogate] = {"atan": atan, "dspike": dspike, "sigmoid": sigmoid}


class Spike(torch.autograd.Function):
    """``1[u >= 0]`` forward, the surrogate derivative backward; u = 0 fires."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, surrogate: Surrogate) -> Tensor:
        """Return spikes of the dtype of ``u``."""
        ctx.save_for_backward(u)
        ctx.surrogate = surrogate
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Return the gradient with respect to ``u``."""
        (u,) = ctx.saved_tensors
        return grads[0] * ctx.surrogate(u), None
