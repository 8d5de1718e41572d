"""`first_order`: a decorator for the backward of a kernel, which has no derivative itself.

PyTorch's ``once_differentiable`` raises for a second derivative only if an incoming gradient
requires one; otherwise the result silently has no graph. This decorator always raises.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor


class _Refusal(torch.autograd.Function):
    """The identity, whose backward raises: it is only called for a second derivative."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.view_as(grad)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        raise RuntimeError(
            "spikenas computes first derivatives only, as the slope of a spike is a surrogate "
            "(its kernels are once_differentiable): leave out the gradient penalty or Hessian, and "
            "create_graph=True with it"
        )


def first_order(backward: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """Make a second derivative raise a RuntimeError that says why."""

    @wraps(backward)
    def checked(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        with torch.no_grad():
            found = backward(ctx, *grads)
        if not torch.is_grad_enabled():
            return found
        return tuple(
            _Refusal.apply(each.requires_grad_()) if isinstance(each, Tensor) else each  # type: ignore[no-untyped-call]
            for each in found
        )

    return checked
