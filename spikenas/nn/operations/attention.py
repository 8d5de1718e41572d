"""The operations of attention on spikes: products, sums and masks of data-dependent operands.

Axes: T steps, B batch, N tokens, D width, h heads, d = D / h. Tokens [T, B, N, D] may also be the
rows [R, D] of active tokens; products then group them by sample (`active_tokens.by_sample`).
"""

from collections.abc import Sequence

from torch import Tensor

from spikenas.nn.active_tokens import ActiveTokens, as_rows, by_sample
from spikenas.nn.kernels import meetings, weighed
from spikenas.nn.operations.leaf import Count, Facts, Leaf
from spikenas.workload import Kind, Signal


class TokenSimilarity(Leaf):
    """``A = scale Q K^T`` per head, from tokens [T, B, N, D] to [T, B, h, N, N]; no softmax."""

    kind = Kind.SPIKE_PRODUCT
    signal = Signal.COUNTS

    def __init__(self, num_heads: int, scale: float) -> None:
        super().__init__()
        self.num_heads, self.scale = num_heads, scale

    def forward(self, q: Tensor, k: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return counts of common spikes, scaled."""
        q, k = (heads(by_sample(x, active), self.num_heads) for x in (q, k))
        return (q @ k.mT) * self.scale

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N N D coincidences."""
        N, D = inputs[0].shape[-2:]
        return Facts(macs=N * N * D, attributes={"num_heads": self.num_heads})

    def events(self, inputs: Sequence[Tensor], output: Tensor, count: Count) -> Tensor | int:
        """Count the pairs of a non-zero of Q and one of K in the same channel."""
        return meetings(*inputs)


class TokenAggregation(Leaf):
    """``Y = A V`` per head, from [T, B, h, N, N] and tokens [T, B, N, D] to [T, B, N, D]."""

    kind = Kind.SPIKE_PRODUCT
    signal = Signal.COUNTS

    def forward(self, attn: Tensor, v: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return the sums of V's spikes, weighted by A."""
        y = attn @ heads(by_sample(v, active), attn.shape[2])
        return as_rows(y.transpose(2, 3).flatten(3), active)  # [T, B, N, D]

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N N D coincidences."""
        N, D = output.shape[-2:]
        return Facts(macs=N * N * D, attributes={"num_heads": int(inputs[0].shape[2])})

    def events(self, inputs: Sequence[Tensor], output: Tensor, count: Count) -> Tensor | int:
        """Count the pairs of a non-zero of A and one of V at the same token."""
        attn, v = inputs
        return weighed(attn, heads(v, attn.shape[2]))


class HeadSum(Leaf):
    """Sum of spikes over the d channels of each head: [T, B, N, D] to [T, B, N, h]."""

    kind = Kind.SPIKE_SUM
    signal = Signal.COUNTS

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads

    def forward(self, x: Tensor) -> Tensor:
        """Return the counts."""
        return x.unflatten(-1, (self.num_heads, -1)).sum(-1)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N D additions."""
        N, D = inputs[0].shape[-2:]
        return Facts(macs=N * D, attributes={"num_heads": self.num_heads})


class TokenSum(Leaf):
    """Sum of spikes over the tokens of each channel: [T, B, N, D] to [T, B, D]."""

    kind = Kind.SPIKE_SUM
    signal = Signal.COUNTS

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return the counts."""
        return by_sample(x, active).sum(2)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N D additions."""
        N, D = inputs[0].shape[-2:]
        return Facts(macs=N * D)


class _Mask(Leaf):
    """The product of a mask of spikes and a signal, element by element."""

    kind = Kind.MASK

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N D conjunctions."""
        N, D = output.shape[-2:]
        return Facts(macs=N * D)

    def events(self, inputs: Sequence[Tensor], output: Tensor, count: Count) -> Tensor | int:
        """Count where both are non-zero."""
        return count(output)

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """A mask does not change the signal."""
        return signals[1]


class HeadMask(_Mask):
    """Keep the tokens whose head spikes: mask [T, B, N, h], tokens [T, B, N, D].

    A mask of [T, B, N, D] keeps single channels.
    """

    def forward(self, mask: Tensor, x: Tensor) -> Tensor:
        """Return [T, B, N, D]."""
        heads = x.unflatten(-1, (mask.shape[-1], -1))  # [T, B, N, h, d]
        return (heads * mask.unsqueeze(-1)).flatten(-2)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Add the heads."""
        facts = super().facts(inputs, output)
        facts.attributes["num_heads"] = int(inputs[0].shape[-1])
        return facts


class ChannelMask(_Mask):
    """Keep the channels that spike, of every token: mask [T, B, D], tokens [T, B, N, D]."""

    def forward(self, mask: Tensor, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return [T, B, N, D]."""
        return as_rows(by_sample(x, active) * mask.unsqueeze(2), active)


class Coincidence(_Mask):
    """``X ⊙ Y``, where both spike: tokens [T, B, N, D]."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return [T, B, N, D]."""
        return x * y


def heads(x: Tensor, num_heads: int) -> Tensor:
    """Split tokens [T, B, N, D] into heads [T, B, h, N, d]."""
    return x.unflatten(3, (num_heads, -1)).transpose(2, 3)
