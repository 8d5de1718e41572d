"""`first_order`: for the backward of a kernel, which has no derivative of its own.

PyTorch's ``once_differentiable`` refuses a second derivative only where a gradient that comes in
requires one; elsewhere the result depends on nothing, in silence. Here it is refused always.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor


class _Refusal(torch.autograd.Function):
    """The identity; its backward is what somebody wants of a second derivative."""

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
    """Have gradients that are differentiated again end in a RuntimeError that says why."""

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
