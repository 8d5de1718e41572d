"""Sums and concatenations of two or more signals.

Axes: T steps, B batch, C = D channels, H, W map, N tokens.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from spikenas.nn.operations.leaf import Leaf, joined
from spikenas.workload import Kind, Signal


class Add(Leaf):
    """Sum of two equal shapes: merges event streams, or adds a branch to the membrane."""

    kind = Kind.ADD

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """Return the sum."""
        return x + branch

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Spikes add up to counts; a membrane stays one."""
        return joined(signals, of_spikes=Signal.COUNTS)


class Concat(Leaf):
    """Concatenate maps [T, B, C, H, W] on their channels."""

    kind = Kind.CONCAT

    def forward(self, *maps: Tensor) -> Tensor:
        """Return [T, B, sum of C, H, W]."""
        return torch.cat(maps, dim=2)

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """The widest of the signals."""
        return joined(signals, of_spikes=Signal.SPIKES)
