"""Means over tokens and steps; once tokens have halted, over those that are active.

Axes: T steps, B batch, N tokens, D width.
"""

from collections.abc import Sequence

from torch import Tensor

from spikenas.nn.active_tokens import ActiveTokens, by_sample
from spikenas.nn.operations.leaf import Facts, Leaf, joined
from spikenas.workload import Kind, Signal


class MeanOverTokens(Leaf):
    """Mean of tokens [T, B, N, D] to [T, B, D]; the divisor folds into the next weights."""

    kind = Kind.MEAN

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return [T, B, D]; zero where no token of a sample is active."""
        if active is None:
            return x.mean(2)
        x = by_sample(x, active)
        if x.shape[2] == 0:
            return x.sum(2)
        share = active.counts.clamp(min=1).to(x.dtype) / x.shape[2]  # [T, B]
        return x.mean(2) / share.unsqueeze(2)

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """A sum of spikes but for its divisor."""
        return joined(signals, of_spikes=Signal.COUNTS)


class MeanOverSteps(Leaf):
    """Mean over time [T, B, D] to [B, D]; what follows runs once per inference."""

    kind = Kind.MEAN

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return [B, D], the mean over those steps at which a sample has active tokens."""
        if active is None:
            return x.mean(0)
        is_active = active.counts > 0  # [T, B]
        share = is_active.sum(0).clamp(min=1).to(x.dtype) / x.shape[0]  # [B]
        # Where nothing computes, biases of what comes before would still be there.
        return (x * is_active.to(x.dtype).unsqueeze(2)).mean(0) / share.unsqueeze(1)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Time ends here."""
        return Facts(ends_time=True)

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """A sum of spikes but for its divisor."""
        return joined(signals, of_spikes=Signal.COUNTS)
