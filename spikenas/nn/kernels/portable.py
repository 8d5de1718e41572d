"""The multi-step neuron in plain PyTorch with an explicit backward, for any device and dtype."""

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from spikenas.nn.kernels.dynamics import CHARGES, Affine, Dynamics
from spikenas.nn.surrogate import SURROGATES

_CHUNK = 2**16  # membranes that run at once on a CPU, so that their steps fit into its cache


class Portable:
    """The fallback if no faster backend is available; see `Backend` for the methods."""

    @staticmethod
    def norm_dtype(x: Tensor) -> torch.dtype | None:
        """Return the dtype of a norm of x; None if sums would have half precision."""
        return x.dtype if x.dtype in (torch.float32, torch.float64) else None

    def forward(
        self, x: Tensor, num_steps: int, dynamics: Dynamics, affine: Affine | None
    ) -> tuple[Tensor, Tensor | int | None]:
        """Return spikes, and None because they are not counted."""
        rows = _as_rows(x)
        spikes = rows.new_empty((num_steps, *rows.shape[1:]))
        for part in _chunks(rows):
            self._run(rows[:, part], dynamics, affine, spikes[:, part])
        return spikes.view(num_steps, *x.shape[1:]), None

    def backward(
        self, x: Tensor, grad: Tensor, dynamics: Dynamics, affine: Affine | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | float]:
        """Return dL/dy and its sums over rows, see `Backend`."""
        rows, grads = _as_rows(x), _as_rows(grad)
        grad_y, sums, grad_leak = torch.empty_like(rows), [], x.new_zeros(())
        for part in _chunks(rows):
            chunk = rows[:, part]
            spikes = grads.new_empty(grads[:, part].shape)
            y, h = self._run(chunk, dynamics, affine, spikes)
            grad_h = _back_in_time(h, spikes, grads[:, part], dynamics)
            if dynamics.charge == "learnt":
                drive = y.expand_as(h).clone()  # y_t - v
                drive[1:] -= (h - spikes * (dynamics.threshold if dynamics.soft_reset else h))[:-1]
                grad_leak += (grad_h * drive).sum()
            if len(rows) < len(grads):
                grad_h = grad_h.sum(0, keepdim=True)
            torch.mul(grad_h, dynamics.dh_dx, out=grad_y[:, part])
            if affine is not None:
                sums.append(self.gradient_sums(chunk, grad_y[:, part], affine.centre))
        if affine is None:
            return grad_y.view_as(x), None, None, grad_leak
        of_grad, of_grad_x = (torch.stack(each).sum(0) for each in zip(*sums, strict=True))
        return grad_y.view_as(x), of_grad, of_grad_x, grad_leak

    def _run(
        self, rows: Tensor, dynamics: Dynamics, affine: Affine | None, spikes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Write the spikes of rows [T or 1, R, C]; return the currents y and the membranes."""
        y = rows if affine is None else self.affine(rows, affine.scale, affine.shift)
        h = y.new_empty(spikes.shape)
        v = torch.zeros_like(h[0])
        for y_t, h_t, s_t in zip(y.expand_as(h), h, spikes, strict=True):
            CHARGES[dynamics.charge](y_t, v, dynamics.c, h_t)
            torch.ge(h_t, dynamics.threshold, out=s_t)
            if dynamics.soft_reset:
                torch.sub(h_t, s_t, alpha=dynamics.threshold, out=v)
            else:
                torch.addcmul(h_t, h_t, s_t, value=-1.0, out=v)  # (1 - S) H
        return y, h

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and biased variance of each channel."""
        rows = x.view(1, -1, x.shape[-1])
        mean = rows.mean((0, 1))
        squares = [(rows[0, part] - mean).square_().sum(0) for part in _chunks(rows)]
        return mean, torch.stack(squares).sum(0) / rows.shape[1]

    def gradient_sums(self, x: Tensor, grad: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums over rows of the gradient, and of gradient times x - centre."""
        rows = grad.flatten(0, -2)
        return rows.sum(0), (x.flatten(0, -2) - centre).mul_(rows).sum(0)

    def affine(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Return ``scale x + shift``."""
        return torch.addcmul(shift, x, scale)

    def combine_(self, p: Tensor, q: Tensor, numbers: Tensor) -> Tensor:
        """Set p to ``a p + b (q - centre) + d`` in place; the numbers are a, b, centre, d."""
        a, b, centre, d = numbers
        rows, others = (x.view(1, -1, x.shape[-1]) for x in (p, q))
        for part in _chunks(rows):
            rows[0, part].mul_(a).add_(d).addcmul_(others[0, part] - centre, b)
        return p


def _back_in_time(h: Tensor, spikes: Tensor, grad: Tensor, dynamics: Dynamics) -> Tensor:
    """Return dL/dH of membranes [T, R, C]; see `spikenas.nn.neurons.neuron`."""
    grad_h = SURROGATES[dynamics.surrogate](h - dynamics.threshold)  # dS/dH, then dL/dH in place
    kept = torch.ones_like(spikes) if dynamics.soft_reset else 1.0 - spikes  # dv/dH
    if dynamics.through_reset:
        jump = torch.full_like(h, dynamics.threshold) if dynamics.soft_reset else h
        kept = torch.addcmul(kept, jump, grad_h, value=-1.0)
    grad_h.mul_(grad)
    for t in range(len(h) - 2, -1, -1):
        grad_h[t].addcmul_(grad_h[t + 1], kept[t], value=dynamics.dh_dv)
    return grad_h


def _as_rows(x: Tensor) -> Tensor:
    """Return [T, ..., C] as [T, R, C]; a tensor [T] has one channel."""
    if x.dim() == 1:
        return x.view(-1, 1, 1)
    return x.unsqueeze(1) if x.dim() == 2 else x.flatten(1, -2)


def _chunks(rows: Tensor) -> Iterator[slice]:
    """Yield chunks of the rows; only one on other devices, where launching costs most."""
    _, number, channels = rows.shape
    size = max(1, _CHUNK // max(1, channels)) if rows.device.type == "cpu" else max(1, number)
    for start in range(0, number, size):
        yield slice(start, start + size)


def rows_of(x: Tensor) -> int:
    """Return how many rows [..., C] has."""
    return prod(x.shape[:-1])


def step_size(x: Tensor, num_steps: int) -> int:
    """Return the distance of two steps of x in memory, 0 if x represents all steps."""
    return x[0].numel() if x.shape[0] == num_steps else 0
