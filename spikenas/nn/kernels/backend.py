"""`Backend`: runs a multi-step neuron together with the batch norm before it on some device.

Currents x are [T, ..., C], dense, channels last, or [1, ..., C], which represents T equal steps.
`Portable` is the definition; `spikenas.testing.BackendContract` compares the others with it.
"""

from typing import Protocol

import torch
from torch import Tensor

from spikenas.nn.kernels.dynamics import Affine, Dynamics


class Backend(Protocol):
    """Spikes, gradients, and the sums of a batch norm. No method keeps state between calls."""

    def norm_dtype(self, x: Tensor) -> torch.dtype | None:
        """Return the dtype of the norm of x; None if the dtype of x is too coarse for sums."""

    def forward(
        self, x: Tensor, num_steps: int, dynamics: Dynamics, affine: Affine | None
    ) -> tuple[Tensor, Tensor | int | None]:
        """Return spikes [T, ..., C] of the affine x, and their number.

        A tensor holds partial counts to be summed; None if spikes were not counted.
        """

    def backward(
        self, x: Tensor, grad: Tensor, dynamics: Dynamics, affine: Affine | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | float]:
        """Return dL/dy of the affine y, and three sums, given dL/dS [T, ..., C].

        dL/dy has the shape of x: if x represents all steps, it is the sum over them. The sums are,
        over rows, dL/dy and dL/dy (x - centre) of each channel, None without ``affine``; and over
        all elements, dL/dc of a learnt leak.
        """

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and biased variance of each channel of [..., C]."""

    def gradient_sums(self, x: Tensor, grad: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums over rows of the gradient, and of gradient times x - centre."""

    def affine(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Return ``scale x + shift``."""

    def combine_(self, p: Tensor, q: Tensor, numbers: Tensor) -> Tensor:
        """Set p to ``a p + b (q - centre) + d`` in place; the numbers are a, b, centre, d."""
