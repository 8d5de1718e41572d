"""Operations with trained weights: convolutions, linear maps, matrices over tokens.

Axes: T steps, B batch, C = D channels, H, W map, N tokens, h heads, d = D / h. Linear maps act on
the last axis only, so they also take the rows of active tokens [R, D]. `product` is the operation
without its bias, which the batch norm after it includes in its mean (`spikenas.nn.layers`).
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikenas.nn.kernels import convolution, non_zero
from spikenas.nn.layout import once
from spikenas.nn.operations.leaf import Count, Facts, Leaf
from spikenas.workload import Kind


class Conv(nn.Conv2d, Leaf):
    """Square convolution of a map [T, B, C, H, W], the same at every step."""

    kind = Kind.CONV

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = False,
    ) -> None:
        padding = kernel_size // 2 if padding is None else padding
        super().__init__(
            in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, C', H', W']."""
        return super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def product(self, x: Tensor) -> Tensor:
        """Return [T, B, C', H', W'], without the bias, computed by events if they are few."""
        stride, padding = int(self.stride[0]), int(self.padding[0])
        y = convolution(x.flatten(0, 1), self.weight, stride, padding)
        return y.unflatten(0, x.shape[:2])

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count k k C C' H' W' multiply-accumulates."""
        return Facts(
            macs=self.weight.numel() * output.shape[-2] * output.shape[-1],
            weights=self.weight.numel(),
            biases=0 if self.bias is None else self.bias.numel(),
            attributes={
                "kernel_size": int(self.kernel_size[0]),
                "stride": int(self.stride[0]),
                "padding": int(self.padding[0]),
            },
        )

    def events(self, inputs: Sequence[Tensor], output: Tensor, count: Count) -> Tensor | int:
        """Count the weights of each non-zero element: fewer at the border of the map."""
        x = once(inputs[0])
        kernel = (int(self.kernel_size[0]), int(self.stride[0]), int(self.padding[0]))
        high, wide = (_reach(size, *kernel).to(x.device) for size in x.shape[-2:])
        events = high.max() * wide.max() * count(x)  # as if there were no border
        for row in (high < high.max()).nonzero().flatten().tolist():
            met = wide * non_zero(x[..., row, :]).sum((0, 1, 2))
            events = events - (high.max() - high[row]) * met.sum(dtype=torch.float64)
        for column in (wide < wide.max()).nonzero().flatten().tolist():
            met = high.max() * non_zero(x[..., column]).sum((0, 1, 2))
            events = events - (wide.max() - wide[column]) * met.sum(dtype=torch.float64)
        return events * self.out_channels * (len(inputs[0]) // len(x))


class Linear(nn.Linear, Leaf):
    """Linear map of the last axis: tokens [T, B, N, D] or vectors [B, D]."""

    kind = Kind.LINEAR

    def product(self, x: Tensor) -> Tensor:
        """Return [..., D'], without the bias, computed by events if they are few."""
        if x.dim() != 4 or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return F.linear(x, self.weight)
        # On CPUs a convolution of rows with channels last is 10 to 30 % faster than BLAS.
        maps = x.flatten(0, 1).unsqueeze(2).permute(0, 3, 1, 2)  # [T B, D, N, 1]
        y = convolution(maps, self.weight[:, :, None, None])
        return y.permute(0, 2, 3, 1).squeeze(2).unflatten(0, x.shape[:2])

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count D D' multiply-accumulates per token."""
        tokens = output.shape[-2] if output.dim() == 4 else 1
        return Facts(
            macs=self.weight.numel() * tokens,
            weights=self.weight.numel(),
            biases=0 if self.bias is None else self.bias.numel(),
        )


class ConvOverTokens(Leaf):
    """Convolution along the raster order of tokens [T, B, N, D], across the ends of rows.

    ``weight`` is [D', D, k], k odd; the sequence is padded with zeros at both ends.
    """

    kind = Kind.CONV

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    bias = None  # the other operations with weights have this attribute

    def product(self, x: Tensor) -> Tensor:
        """Return [T, B, N, D']."""
        return self.forward(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, N, D']."""
        rows = x.flatten(0, 1).mT  # [T B, D, N]
        y = F.conv1d(rows, self.weight, padding=self.kernel_size // 2)
        return y.mT.unflatten(0, x.shape[:2])

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count k D D' N multiply-accumulates."""
        return Facts(
            macs=self.weight.numel() * output.shape[-2],
            weights=self.weight.numel(),
            attributes={
                "kernel_size": self.kernel_size,
                "stride": 1,
                "padding": self.kernel_size // 2,
                "dimensions": 1,
            },
        )

    def events(self, inputs: Sequence[Tensor], output: Tensor, count: Count) -> Tensor:
        """Count the weights of each non-zero element: fewer at both ends."""
        tokens = non_zero(inputs[0]).sum((0, 1, 3), dtype=torch.float64)  # [N]
        N = len(tokens)
        reached = _reach(N, self.kernel_size, 1, self.kernel_size // 2).to(tokens.device)
        return (tokens * reached).sum() * self.weight.shape[0]


class TokenMixing(Leaf):
    """``Y[:, c] = M_i X[:, c]`` for the d channels c of head i; ``weight`` is [h, N, N]."""

    kind = Kind.TOKEN_MIXING

    def __init__(self, num_tokens: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.weight = nn.Parameter(torch.empty(num_heads, num_tokens, num_tokens))

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, N, D]."""
        T, B, N, D = x.shape
        h, d = self.num_heads, D // self.num_heads
        columns = x.reshape(T * B, N, h, d).permute(2, 1, 0, 3)  # [h, N, T B, d]
        mixed = self.weight @ columns.flatten(2)  # [h, N, T B d], one product per head
        return mixed.view(h, N, T * B, d).permute(2, 1, 0, 3).reshape(T, B, N, D)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N N D multiply-accumulates."""
        N, D = output.shape[-2:]
        return Facts(
            macs=N * N * D, weights=self.weight.numel(), attributes={"num_heads": self.num_heads}
        )


@lru_cache(maxsize=256)
def _reach(size: int, kernel_size: int, stride: int, padding: int) -> Tensor:
    """Return how many outputs along one axis read each of its ``size`` inputs."""
    out = (size + 2 * padding - kernel_size) // stride + 1
    starts = stride * torch.arange(out).unsqueeze(1) - padding
    inputs = (starts + torch.arange(kernel_size)).flatten()
    return torch.bincount(inputs[(inputs >= 0) & (inputs < size)], minlength=size)
