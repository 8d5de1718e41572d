"""What attention on spikes is made of: products, sums and masks of data-dependent operands.

Axes: T steps, B batch, N tokens, D width, h heads, d = D / h. Tokens [T, B, N, D] may also be the
rows [R, D] of the active ones; products then see each sample's own (`layout.by_sample`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from spikenas.nn.layout import as_rows, by_sample
from spikenas.nn.operations.leaf import Facts, Leaf
from spikenas.workload import Kind, Signal


class TokenSimilarity(Leaf):
    """``A = scale Q K^T`` per head, from tokens [T, B, N, D] to [T, B, h, N, N]; no softmax."""

    kind = Kind.SPIKE_PRODUCT

    def __init__(self, num_heads: int, scale: float) -> None:
        super().__init__()
        self.num_heads, self.scale = num_heads, scale

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        """Return counts of common spikes, scaled."""
        q, k = by_sample(q), by_sample(k)
        return (_heads(q, self.num_heads) @ _heads(k, self.num_heads).mT) * self.scale

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N N D coincidences."""
        N, D = inputs[0].shape[-2:]
        return Facts(macs=N * N * D, attributes={"num_heads": self.num_heads})

    def events(self, inputs: Sequence[Tensor], output: Tensor) -> Tensor:
        """Count the pairs of a non-zero of Q and one of K in the same channel."""
        q, k = (by_sample(x) != 0 for x in inputs)
        return (q.sum(2) * k.sum(2)).sum()  # [T, B, D], then all

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Sums of products of spikes are counts."""
        return Signal.COUNTS


class TokenAggregation(Leaf):
    """``Y = A V`` per head, from [T, B, h, N, N] and tokens [T, B, N, D] to [T, B, N, D]."""

    kind = Kind.SPIKE_PRODUCT

    def forward(self, attn: Tensor, v: Tensor) -> Tensor:
        """Return the sums of V's spikes, weighted by A."""
        y = (attn @ _heads(by_sample(v), attn.shape[2])).transpose(2, 3).flatten(3)
        return as_rows(y)  # [T, B, N, D]

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N N D coincidences."""
        N, D = output.shape[-2:]
        return Facts(macs=N * N * D, attributes={"num_heads": int(inputs[0].shape[2])})

    def events(self, inputs: Sequence[Tensor], output: Tensor) -> Tensor:
        """Count the pairs of a non-zero of A and one of V at the same token."""
        attn, v = inputs[0] != 0, by_sample(inputs[1]) != 0
        spikes = _heads(v, attn.shape[2]).sum(4)  # [T, B, h, N]
        return (attn.sum(3) * spikes).sum()

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Sums of products of counts and spikes are counts."""
        return Signal.COUNTS


class HeadSum(Leaf):
    """Sum of spikes over the d channels of each head: [T, B, N, D] to [T, B, N, h]."""

    kind = Kind.SPIKE_SUM

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads

    def forward(self, x: Tensor) -> Tensor:
        """Return the counts."""
        out: Tensor = x.unflatten(-1, (self.num_heads, -1)).sum(-1)
        return out

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N D additions."""
        N, D = inputs[0].shape[-2:]
        return Facts(macs=N * D, attributes={"num_heads": self.num_heads})

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Sums of spikes are counts."""
        return Signal.COUNTS


class TokenSum(Leaf):
    """Sum of spikes over the tokens of each channel: [T, B, N, D] to [T, B, D]."""

    kind = Kind.SPIKE_SUM

    def forward(self, x: Tensor) -> Tensor:
        """Return the counts."""
        return by_sample(x).sum(2)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N D additions."""
        N, D = inputs[0].shape[-2:]
        return Facts(macs=N * D)

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Sums of spikes are counts."""
        return Signal.COUNTS


class _Mask(Leaf):
    """The product of a mask of spikes and a signal, element by element."""

    kind = Kind.MASK

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N D conjunctions."""
        N, D = output.shape[-2:]
        return Facts(macs=N * D)

    def events(self, inputs: Sequence[Tensor], output: Tensor) -> Tensor:
        """Count where both are non-zero."""
        return torch.count_nonzero(output)

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """A masked signal stays what it was."""
        return signals[1]


class HeadMask(_Mask):
    """Keep the tokens whose head spikes: mask [T, B, N, h], tokens [T, B, N, D].

    A mask of [T, B, N, D] keeps single channels of them.
    """

    def forward(self, mask: Tensor, x: Tensor) -> Tensor:
        """Return [T, B, N, D]."""
        heads = x.unflatten(-1, (mask.shape[-1], -1))  # [T, B, N, h, d]
        out: Tensor = (heads * mask.unsqueeze(-1)).flatten(-2)
        return out

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Add the heads."""
        facts = super().facts(inputs, output)
        facts.attributes["num_heads"] = int(inputs[0].shape[-1])
        return facts


class ChannelMask(_Mask):
    """Keep the channels that spike, of every token: mask [T, B, D], tokens [T, B, N, D]."""

    def forward(self, mask: Tensor, x: Tensor) -> Tensor:
        """Return [T, B, N, D]."""
        return as_rows(by_sample(x) * mask.unsqueeze(2))


class Coincidence(_Mask):
    """``X ⊙ Y``, where both spike: tokens [T, B, N, D]."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return [T, B, N, D]."""
        return x * y


def _heads(x: Tensor, num_heads: int) -> Tensor:
    heads: Tensor = x.unflatten(3, (num_heads, -1)).transpose(2, 3)  # [T, B, h, N, d]
    return heads
