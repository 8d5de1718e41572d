"""Batch normalisation (Ioffe 2015), one set of statistics for all steps: T and B are merged.

    y = weight (x - mean) / sqrt(var + eps) + bias
Axes: T steps, B batch, C = D channels, H, W map, N tokens.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikenas.nn import layout
from spikenas.nn.active_tokens import MaskedTokens
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

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; in training with the batch's statistics over T, B and positions.

        Of tokens it sees the active ones; where a token has halted it returns zero.
        """
        if x.dim() == 5:
            maps: Tensor = self._normalise(x.flatten(0, 1)).unflatten(0, x.shape[:2])
            return maps
        active = layout.active_tokens()
        if not isinstance(active, MaskedTokens) or x.dim() != 4:
            return self._over_rows(x)
        if torch.compiler.is_exporting():  # how many rows are active is unknown
            return active.masked(self._over_rows(x))
        rows = active.rows(x)
        if self.training and len(rows) < 2:  # no statistics to be had
            return x * 0.0
        return active.from_rows(self._over_rows(rows), x)

    def _over_rows(self, x: Tensor) -> Tensor:
        if torch.compiler.is_exporting():  # the layout below would fix the number of rows
            return self._normalise(x.flatten(0, -2)).view(x.shape)
        rows = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)  # [1, D, rows, 1]
        return self._normalise(rows).permute(0, 2, 3, 1).view(x.shape)

    def _normalise(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Scales and shifts count as biases: they fold into the weights before them."""
        return Facts(biases=2 * self.weight.numel(), attributes={"eps": self.eps})
