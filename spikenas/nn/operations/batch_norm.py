"""Batch normalisation (Ioffe 2015), one set of statistics for all steps: T and B are merged.

    y = weight (x - mean) / sqrt(var + eps) + bias
Only the statistics are computed here; a neuron that follows normalises on the way, and a constant
before it has no part in the sums, as it changes nothing but the mean (`spikenas.nn.deferred`).
Axes: T steps, B batch, C = D channels, H, W map, N tokens.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikenas.nn import layout
from spikenas.nn.active_tokens import MaskedTokens
from spikenas.nn.deferred import Biased, Normalised, steps_of, taken, to_rows, valued
from spikenas.nn.kernels import Norm, backend_of, normalise
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
        x = taken(x)
        product, constant = (x.product, x.bias) if isinstance(x, Biased) else (x, None)
        active = layout.active_tokens()
        masked = active if isinstance(active, MaskedTokens) and x.dim() == 4 else None
        if not layout.is_deferring(product):
            y = self._plain(valued(x))  # where a graph is written, how many are active is unknown
            return y if masked is None else masked.masked(y)
        if masked is None:
            norm = self._norm(product, constant)
            return self._plain(valued(x)) if norm is None else Normalised(x.shape, product, norm)
        rows = masked.rows(product)
        norm = self._norm(rows, constant)
        if norm is None:  # no statistics to be had
            return product * 0.0
        return masked.from_rows(normalise(rows, norm), product)

    def _norm(self, x: Tensor, constant: Tensor | None) -> Norm | None:
        """Return the norm of ``x + constant`` as one of x; None where x is not of our type."""
        if backend_of(x).norm_dtype(x) is not self.weight.dtype:
            return None
        mean, variance = self.running_mean, self.running_var
        if self.training:
            once, _ = steps_of(x)
            rows = to_rows(once).detach().contiguous()
            n = x.numel() // rows.shape[-1]
            if n < 2:
                return None
            mean, variance = backend_of(rows).moments(rows)
            with torch.no_grad():
                mean_of_all = mean if constant is None else mean + constant
                self.running_mean.lerp_(mean_of_all, self.momentum)
                self.running_var.lerp_(variance * (n / (n - 1)), self.momentum)
        else:  # a copy, as the next step of training moves it on
            mean = mean.clone() if constant is None else mean - constant.detach()
        return Norm(
            weight=self.weight,
            bias=self.bias,
            mean=mean,
            invstd=(variance + self.eps).rsqrt(),
            is_of_batch=self.training,
            constant=constant,
        )

    def _plain(self, x: Tensor) -> Tensor:
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

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Scales and shifts count as biases: they fold into the weights before them."""
        return Facts(biases=2 * self.weight.numel(), attributes={"eps": self.eps})
