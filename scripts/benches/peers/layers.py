"""Layers that all peers have: time is folded into the batch around everything but the neuron.

Axes: T steps, B batch, C channels, H, W map, N tokens.
"""

from torch import Tensor, nn


class Folded(nn.Sequential):
    """Layers that see [T B, ...] of [T, B, ...], as SpikingJelly's multi-step layers do."""

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, ...]."""
        folded = x.flatten(0, 1)
        for layer in self:
            folded = layer(folded)
        out: Tensor = folded.unflatten(0, x.shape[:2])
        return out


def conv_norm(
    in_channels: int, out_channels: int, kernel_size: int = 3, *, stride: int = 1
) -> Folded:
    """Return convolution and batch norm of maps [T, B, C, H, W], with no bias."""
    conv = nn.Conv2d(
        in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False
    )
    return Folded(conv, nn.BatchNorm2d(out_channels))


def token_conv_norm(in_channels: int, out_channels: int, *, bias: bool) -> Folded:
    """Return 1x1 convolution and batch norm of tokens [T, B, C, N]."""
    conv = nn.Conv1d(in_channels, out_channels, 1, bias=bias)
    return Folded(conv, nn.BatchNorm1d(out_channels))


def max_pool() -> Folded:
    """Return 3x3 maxima of stride 2."""
    return Folded(nn.MaxPool2d(3, 2, 1))
