"""The multi-step neuron in plain PyTorch, its backward by hand: any device and floating type."""

from math import prod

import torch
from torch import Tensor

from spikenas.nn.kernels.law import CHARGES, Affine, Law
from spikenas.nn.surrogate import SURROGATES


class Portable:
    """Runs where no faster backend does; `CPUKernel` says what each method gives."""

    @staticmethod
    def norm_dtype(x: Tensor) -> torch.dtype:
        """Return the type that a norm of x has."""
        return x.dtype

    def forward(
        self, x: Tensor, num_steps: int, law: Law, affine: Affine | None
    ) -> tuple[Tensor, Tensor | int | None, tuple[Tensor, ...]]:
        """Return spikes, None as they are not counted, and the membranes for `backward`."""
        y = x if affine is None else self.affine(x, affine.scale, affine.shift)
        h = y.new_empty((num_steps, *y.shape[1:]))
        spikes = torch.empty_like(h)
        v = torch.zeros_like(h[0]) if num_steps else h
        for y_t, h_t, s_t in zip(
            y.expand_as(h).unbind(0), h.unbind(0), spikes.unbind(0), strict=True
        ):
            CHARGES[law.charge](y_t, v, law.c, h_t)
            torch.ge(h_t, law.threshold, out=s_t)
            if law.soft_reset:
                torch.sub(h_t, s_t, alpha=law.threshold, out=v)
            else:
                torch.addcmul(h_t, h_t, s_t, value=-1.0, out=v)  # (1 - S) H
        return spikes, None, (h, spikes)

    def backward(
        self,
        x: Tensor,
        grad: Tensor,
        law: Law,
        affine: Affine | None,
        saved: tuple[Tensor, ...],
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | float]:
        """Return dL/dy and its sums over rows, see `CPUKernel.backward`."""
        if not saved:
            saved = self.forward(x, grad.shape[0], law, affine)[2]
        h, spikes = saved
        grad_h = SURROGATES[law.surrogate](h - law.threshold)  # dS/dH, then dL/dH in place
        kept = torch.ones_like(spikes) if law.soft_reset else 1.0 - spikes  # dv/dH
        if law.through_reset:
            jump = torch.full_like(h, law.threshold) if law.soft_reset else h
            kept = torch.addcmul(kept, jump, grad_h, value=-1.0)
        grad_h.mul_(grad)
        for t in range(h.shape[0] - 2, -1, -1):
            grad_h[t].addcmul_(grad_h[t + 1], kept[t], value=law.dh_dv)
        grad_leak: Tensor | float = 0.0
        if law.charge == "learnt":
            y = x if affine is None else self.affine(x, affine.scale, affine.shift)
            drive = y.expand_as(h).clone()
            drive[1:] -= (h - spikes * (law.threshold if law.soft_reset else h))[:-1]  # y_t - v
            grad_leak = (grad_h * drive).sum()
        grad_y = grad_h.mul_(law.dh_dx)
        if x.shape[0] < grad.shape[0]:
            grad_y = grad_y.sum(0, keepdim=True)
        if affine is None:
            return grad_y, None, None, grad_leak
        return grad_y, *self.gradient_sums(x, grad_y, affine.centre), grad_leak

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and biased variance of each channel."""
        variance, mean = torch.var_mean(x.flatten(0, -2), 0, correction=0)
        return mean, variance

    def gradient_sums(self, x: Tensor, grad: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums over rows of the gradient, and of gradient times x - centre."""
        rows = grad.flatten(0, -2)
        return rows.sum(0), (rows * (x.flatten(0, -2) - centre)).sum(0)

    def affine(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Return ``scale x + shift``."""
        return x * scale + shift

    def combine_(self, p: Tensor, q: Tensor, numbers: Tensor) -> Tensor:
        """Make p ``a p + b (q - centre) + d``, in place; the numbers are a, b, centre, d."""
        a, b, centre, d = numbers
        return p.mul_(a).addcmul_(q - centre, b).add_(d)


def rows_of(x: Tensor) -> int:
    """Return how many rows [..., C] has."""
    return prod(x.shape[:-1])
