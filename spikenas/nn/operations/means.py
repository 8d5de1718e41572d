"""Means over tokens and steps; if tokens have halted, over the active ones.

Axes: T steps, B batch, N tokens, D width.
"""

from collections.abc import Sequence

from torch import Tensor

from spikenas.nn.active_tokens import ActiveTokens, by_sample
from spikenas.nn.operations.leaf import Facts, Leaf, joined
from spikenas.workload import Kind, Signal


class _Mean(Leaf):
    kind = Kind.MEAN

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """A sum of spikes, apart from its divisor."""
        return joined(signals, of_spikes=Signal.COUNTS)


class MeanOverTokens(_Mean):
    """Mean of tokens [T, B, N, D] to [T, B, D]; chips fold the divisor into the next weights."""

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return [T, B, D], zero for samples without active tokens."""
        if active is None:
            return x.mean(2)
        x = by_sample(x, active)
        if x.shape[2] == 0:
            return x.sum(2)
        share = active.counts.clamp(min=1).to(x.dtype) / x.shape[2]  # [T, B]
        return x.mean(2) / share.unsqueeze(2)


class MeanOverSteps(_Mean):
    """Mean over time [T, B, D] to [B, D]; later operations run once per inference."""

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return [B, D], the mean over the steps at which a sample has active tokens."""
        if active is None:
            return x.mean(0)
        is_active = active.counts > 0  # [T, B]
        share = is_active.sum(0).clamp(min=1).to(x.dtype) / x.shape[0]  # [B]
        # Without the mask, biases of earlier layers would count at steps without active tokens.
        return (x * is_active.to(x.dtype).unsqueeze(2)).mean(0) / share.unsqueeze(1)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """The output has no time axis."""
        return Facts(ends_time=True)
