"""Pooling: maxima and sums of maps, and the maxima of SDT for event cameras.

Axes: T steps, B batch, C channels, H, W map, N tokens, D width, h heads.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from spikenas.nn.operations.leaf import Facts, Leaf, joined
from spikenas.workload import Kind, Signal


class MaxPool(Leaf):
    """3x3 max pooling with padding 1 of a map [T, B, C, H, W]."""

    kind = Kind.MAX_POOL

    def __init__(self, stride: int = 2) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, C, ceil(H / stride), ceil(W / stride)]."""
        y = F.max_pool2d(x.flatten(0, 1), 3, stride=self.stride, padding=1)
        return y.unflatten(0, x.shape[:2])

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """No arithmetic that the papers count."""
        return Facts(attributes={"kernel_size": 3, "stride": self.stride, "padding": 1})

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """The maximum of spikes is a spike."""
        return signals[0]


class HeadPlanePool(Leaf):
    """3x3 maxima over the plane of tokens and channels of each head, [T, B, N, D].

    The released SDT applies a pool of maps to [h, N, d] in its event-camera mode.
    """

    kind = Kind.MAX_POOL

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        planes = x.unflatten(3, (self.num_heads, -1)).transpose(2, 3)  # [T, B, h, N, d]
        pooled = F.max_pool2d(planes.flatten(0, 1), 3, stride=1, padding=1)
        return pooled.unflatten(0, x.shape[:2]).transpose(2, 3).flatten(3)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """No arithmetic that the papers count."""
        return Facts(
            attributes={"kernel_size": 3, "stride": 1, "padding": 1, "num_heads": self.num_heads}
        )

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """The maximum of spikes is a spike."""
        return signals[0]


class SumPool(Leaf):
    """2x2 sums of a map [T, B, C, H, W], H and W even."""

    kind = Kind.SUM_POOL

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, C, H / 2, W / 2]."""
        y = 4.0 * F.avg_pool2d(x.flatten(0, 1), 2)
        return y.unflatten(0, x.shape[:2])

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """No arithmetic that the papers count: events are sent to a coarser address."""
        return Facts(attributes={"kernel_size": 2, "stride": 2, "padding": 0})

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Sums of spikes are counts."""
        return joined(signals, of_spikes=Signal.COUNTS)
