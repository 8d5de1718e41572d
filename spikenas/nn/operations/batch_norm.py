"""Batch normalisation (Ioffe 2015), one set of statistics for all steps: T and B are merged.

    y = weight (x - mean) / sqrt(var + eps) + bias
Axes: T steps, B batch, C = D channels, H, W map, N tokens.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikenas.nn.active_tokens import ActiveTokens, MaskedTokens
from spikenas.nn.kernels import Norm, backend_of
from spikenas.nn.layout import to_rows
from spikenas.nn.operations.leaf import Facts, Leaf
from spikenas.workload import Kind


class BatchNorm(Leaf):
    """Batch normalisation of the channels of a map [T, B, C, H, W] or of tokens [T, B, N, D]."""

    kind = Kind.BATCH_NORM
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Normalise; in training with the statistics of the batch over T, B and positions.

        The statistics are over active tokens only; halted tokens become zero.
        """
        if not isinstance(active, MaskedTokens) or x.dim() != 4:
            return self._normalised(x)
        if torch.compiler.is_exporting():  # the number of active tokens is unknown
            return active.masked(self._normalised(x))
        rows = active.rows(x)
        if self.training and len(rows) < 2:  # too few rows for statistics
            return x * 0.0
        return active.from_rows(self._normalised(rows), x)

    def _normalised(self, x: Tensor) -> Tensor:
        maps = x.flatten(0, 1) if x.dim() == 5 else x.flatten(0, -2)  # [T B, C, H, W] or [rows, D]
        y = F.batch_norm(
            maps,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
        return y.view(x.shape)

    def of(self, x: Tensor, num_steps: int, constant: Tensor | None) -> Norm | None:
        """Return the normalisation of ``x + constant`` as a kernel's operation on x.

        The constant only changes the mean. x is [T, ...], or [1, ...] for T equal steps. Updates
        the running statistics in training. None if x has another dtype, or only one row.
        """
        if backend_of(x).norm_dtype(x) is not self.weight.dtype:
            return None
        mean, variance = self.running_mean, self.running_var
        if self.training:
            rows = to_rows(x).detach().contiguous()
            n = x.numel() // rows.shape[-1] * (num_steps // len(x))
            if n < 2:
                return None
            mean, variance = backend_of(rows).moments(rows)
            with torch.no_grad():
                mean_of_all = mean if constant is None else mean + constant
                self.running_mean.lerp_(mean_of_all, self.momentum)
                self.running_var.lerp_(variance * (n / (n - 1)), self.momentum)
        else:  # a copy, as the next training step updates it in place
            mean = mean.clone() if constant is None else mean - constant.detach()
        return Norm(
            weight=self.weight,
            bias=self.bias,
            mean=mean,
            invstd=(variance + self.eps).rsqrt(),
            is_of_batch=self.training,
            constant=constant,
        )

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Scales and shifts count as biases: they are folded into the weights before them."""
        return Facts(biases=2 * self.weight.numel(), attributes={"eps": self.eps})
