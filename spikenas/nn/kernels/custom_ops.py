"""``torch.ops.spikenas.multi_step``: the neuron as a custom op, for torch.compile and torch.export.

`Dynamics` and `Norm` are passed as plain values, because custom ops accept nothing else; shapes as
in `spikenas.nn.kernels.multi_step`. If the backend does not count spikes, they are counted here.
"""

from typing import Any

import torch
from torch import Tensor

from spikenas.nn.kernels.dynamics import Dynamics
from spikenas.nn.kernels.multi_step import Norm, run_backward, run_forward


@torch.library.custom_op("spikenas::multi_step", mutates_args=())
def multi_step(  # noqa: PLR0917  (a custom op takes plain values)
    x: Tensor,
    leak: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    invstd: Tensor | None,
    is_of_batch: bool,
    num_steps: int,
    charge: str,
    c: float,
    threshold: float,
    surrogate: str,
    dh_dx: float,
    dh_dv: float,
    soft_reset: bool,
    through_reset: bool,
) -> tuple[Tensor, Tensor]:
    """Return spikes [T, ..., C] and their number, a tensor of one int64."""
    dynamics = Dynamics.unpacked(
        leak, charge, c, threshold, surrogate, dh_dx, dh_dv, soft_reset, through_reset
    )
    norm = _norm(weight, bias, mean, invstd, is_of_batch)
    spikes, count = run_forward(x.contiguous(), num_steps, dynamics, norm)
    if count is None:
        return spikes, torch.count_nonzero(spikes)
    return spikes, torch.as_tensor(count, device=x.device).sum()


@torch.library.custom_op("spikenas::multi_step_backward", mutates_args=())
def multi_step_backward(  # noqa: PLR0917  (as above)
    grad: Tensor,
    x: Tensor,
    leak: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    invstd: Tensor | None,
    is_of_batch: bool,
    charge: str,
    c: float,
    threshold: float,
    surrogate: str,
    dh_dx: float,
    dh_dv: float,
    soft_reset: bool,
    through_reset: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of x, leak, weight and bias, empty for missing arguments."""
    dynamics = Dynamics.unpacked(
        leak, charge, c, threshold, surrogate, dh_dx, dh_dv, soft_reset, through_reset
    )
    norm = _norm(weight, bias, mean, invstd, is_of_batch)
    of_x, of_leak, of_weight, of_bias, _ = run_backward(
        grad.contiguous(), x.contiguous(), dynamics, norm
    )
    missing = x.new_empty(0)
    return (
        of_x,
        missing if leak is None or of_leak is None else of_leak,
        missing.clone() if of_weight is None else of_weight,
        missing.clone() if of_bias is None else of_bias,
    )


@multi_step.register_fake
def _(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    num_steps = rest[6]
    return x.new_empty((num_steps, *x.shape[1:])), x.new_empty((), dtype=torch.int64)


@multi_step_backward.register_fake
def _(grad: Tensor, x: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    leak, weight, bias = (x.new_empty(0) if t is None else torch.empty_like(t) for t in rest[:3])
    return torch.empty_like(x, memory_format=torch.contiguous_format), leak, weight, bias


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:6])
    ctx.rest = inputs[6], *inputs[8:]


def _grads(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
    found = multi_step_backward(grad, *ctx.saved_tensors, *ctx.rest)
    given = [g if t is not None else None for g, t in zip(found, ctx.saved_tensors, strict=False)]
    return *given, *(None,) * 12


multi_step.register_autograd(_grads, setup_context=_keep)


def _norm(
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    invstd: Tensor | None,
    is_of_batch: bool,
) -> Norm | None:
    if weight is None or bias is None or mean is None or invstd is None:
        return None
    return Norm(weight=weight, bias=bias, mean=mean, invstd=invstd, is_of_batch=is_of_batch)
