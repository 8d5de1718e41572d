"""`multi_step`: all steps of a neuron at once, alone or with the batch norm before it.

    y = weight (x - mean) invstd + bias;  then the neuron of `Dynamics` on y, step by step
Currents x are [T, ..., C], dense, channels last; or [1, ..., C], which represents T equal steps.
The backend depends on device and dtype; all give the same result. If a norm uses the statistics of
the batch, gradients flow through them (Ioffe 2015): with n rows, g = dL/dy, x' = (x - mean) invstd,
    dL/dx = weight invstd (g - sum(g) / n - x' sum(g x') / n)
``torch.ops.spikenas.multi_step`` is the same for ``torch.compile`` and ``torch.export``.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spikenas.nn.kernels.backend import Backend
from spikenas.nn.kernels.cpu import CPUKernel, cpu_kernel
from spikenas.nn.kernels.dynamics import Affine, Dynamics
from spikenas.nn.kernels.first_order import first_order
from spikenas.nn.kernels.gpu import GPUKernel, gpu_kernel
from spikenas.nn.kernels.portable import Portable, rows_of

_PORTABLE = Portable()


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A batch norm with known statistics, tensors of [C].

    Attributes:
        mean: of x, without ``constant``; ``invstd`` is 1 / sqrt(var + eps).
        is_of_batch: whether the statistics are those of x itself.
        constant: a bias that is not part of x and only needs its gradient.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    invstd: Tensor
    is_of_batch: bool
    constant: Tensor | None = None

    def affine(self) -> Affine:
        """Return the same as ``y = scale x + shift``."""
        scale = self.weight * self.invstd
        return Affine(scale, torch.addcmul(self.bias, self.mean, scale, value=-1.0), self.mean)


def _parts(norm: Norm | None) -> tuple[Tensor | None, ...]:
    return (None,) * 4 if norm is None else (norm.weight, norm.bias, norm.mean, norm.invstd)


def backend_of(x: Tensor, num_steps: int = 1) -> Backend:
    """Return the fastest backend for x and this number of steps."""
    kernel: Backend | None = None
    if CPUKernel.takes(x, num_steps):
        kernel = cpu_kernel()
    elif GPUKernel.takes(x):
        kernel = gpu_kernel(x.device, x.dtype)
    return kernel or _PORTABLE


def multi_step(
    x: Tensor,
    num_steps: int,
    dynamics: Dynamics,
    leak: Tensor | None = None,
    norm: Norm | None = None,
) -> tuple[Tensor, Tensor | int | None]:
    """Return spikes [T, ..., C], and their number if the backend counts them.

    A tensor holds partial counts to be summed. ``leak`` is the tensor of a learnt constant.
    """
    if torch.compiler.is_compiling():
        spikes, _ = torch.ops.spikenas.multi_step(
            x,
            leak,
            *_parts(norm),
            norm is not None and norm.is_of_batch,
            num_steps,
            *dynamics.packed(),
        )
        return spikes, None
    if leak is not None and not leak.is_meta:  # on meta it is as it started
        dynamics = dynamics.with_leak(float(leak.detach()))
    learnt = (None,) * 3 if norm is None else (norm.weight, norm.bias, norm.constant)
    return _MultiStep.apply(  # type: ignore[no-untyped-call]
        x.contiguous(), leak, *learnt, num_steps, dynamics, norm
    )


def normalise(x: Tensor, norm: Norm) -> Tensor:
    """Return y of [..., C]."""
    return _Normalise.apply(  # type: ignore[no-untyped-call]
        x.contiguous(), norm.weight, norm.bias, norm.constant, norm
    )


def run_forward(
    x: Tensor, num_steps: int, dynamics: Dynamics, norm: Norm | None
) -> tuple[Tensor, Tensor | int | None]:
    """Return spikes, and their number if known."""
    return backend_of(x, num_steps).forward(x, num_steps, dynamics, norm.affine() if norm else None)


def run_backward(
    grad: Tensor, x: Tensor, dynamics: Dynamics, norm: Norm | None
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients of x, of a learnt leak, and of a norm's weight, bias and constant."""
    backend = backend_of(x, len(grad))
    affine = norm.affine() if norm else None
    grad_y, of_grad, of_grad_x, grad_leak = backend.backward(x, grad, dynamics, affine)
    leak = None
    if dynamics.charge == "learnt":
        leak = torch.as_tensor(grad_leak, dtype=backend.norm_dtype(x), device=x.device)
    if norm is None or of_grad is None or of_grad_x is None:
        return grad_y, leak, None, None, None
    grad_x, of_weight, of_bias, of_constant = _through_norm(norm, x, grad_y, of_grad, of_grad_x)
    return grad_x, leak, of_weight, of_bias, of_constant


class _MultiStep(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917  (autograd counts arguments by place)
        ctx: Any,
        x: Tensor,
        leak: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        constant: Tensor | None,
        num_steps: int,
        dynamics: Dynamics,
        norm: Norm | None,
    ) -> tuple[Tensor, Tensor | int | None]:
        spikes, count = run_forward(x, num_steps, dynamics, norm)
        ctx.set_materialize_grads(False)  # the count has none
        ctx.save_for_backward(x, *_parts(norm))  # autograd detects in-place changes
        ctx.dynamics, ctx.norm, ctx.has_leak = dynamics, norm, leak is not None
        return spikes, count

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        if grads[0] is None:
            return (None,) * 8
        x, *_ = ctx.saved_tensors
        grad_x, leak, *learnt = run_backward(grads[0].contiguous(), x, ctx.dynamics, ctx.norm)
        return grad_x, leak if ctx.has_leak else None, *learnt, None, None, None


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917  (autograd counts arguments by place)
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, constant: Tensor | None, norm: Norm
    ) -> Tensor:
        ctx.norm, affine = norm, norm.affine()
        ctx.save_for_backward(x, *_parts(norm))
        return backend_of(x).affine(x, affine.scale, affine.shift)

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, *_ = ctx.saved_tensors
        grad = grads[0].clone(memory_format=torch.contiguous_format)  # others may use it too
        sums = backend_of(x).gradient_sums(x, grad, ctx.norm.mean)
        return *_through_norm(ctx.norm, x, grad, *sums), None


def _through_norm(
    norm: Norm, x: Tensor, grad: Tensor, of_grad: Tensor, of_grad_x: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Return the gradients of x, weight, bias and constant; overwrites ``grad``, that of y."""
    backend, scale = backend_of(x), norm.weight * norm.invstd
    of_weight = of_grad_x * norm.invstd
    if not norm.is_of_batch:
        of_constant = None if norm.constant is None else scale * of_grad
        return backend.affine(grad, scale, torch.zeros_like(scale)), of_weight, of_grad, of_constant
    part = scale / -rows_of(x)
    numbers = (scale, part * norm.invstd * of_weight, norm.mean, part * of_grad)
    grad_x = backend.combine_(grad, x, torch.stack(numbers))
    of_constant = None if norm.constant is None else torch.zeros_like(norm.constant)
    return grad_x, of_weight, of_grad, of_constant
