"""Adaptive computation time over tokens in space and time: STAS (arXiv 2508.14138), A-SSA.

Axes: T steps t, L blocks l, B batch, N tokens k, D width. The score of a token and its sum over
the rectangle of blocks and steps so far (AT-SNN, arXiv 2408.12293) are
    h_k(l, t) = sigmoid(2 x_k(l, t)[0] - 4) where the token is active, else 0   (A-ViT, Yin 2022)
    H_k(l, t) = sum over l' <= l, t' <= t of h_k(l', t')
and block l + 1 computes token k at step t only while H_k(l, t) < threshold. H grows with l and t,
so a halted token stays halted. A halted token is zero: in the stream, in every neuron's output
(the bias of batch norm would make it fire) and in the head, whose means are over active tokens.
In training batch norm sees active tokens only; the mask has the gradient of a sigmoid of slope 4
(straight-through), so the task loss trains the scores. The ponder loss is that of Graves 2016,
    rho = mean over k, t of (n + 1 - H_k(n - 1, t) / threshold) / L,   n blocks passed
Evaluation without gradients computes only the rows of active tokens. docs/explanation/halting.md
explains what the paper leaves open and how we decided it.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from spikenas.nn.active_tokens import ActiveTokens, MaskedTokens, PackedTokens, active_kwargs
from spikenas.nn.operations import Count, Facts, Leaf
from spikenas.workload import Kind

_GAIN, _SHIFT = 2.0, 4.0  # of the score: 0.02 for a silent channel, 0.5 at two spikes
_SLOPE = 4.0  # of the mask's surrogate, as of the neurons'


class HaltingScore(Leaf):
    """``h = sigmoid(2 x[0] - 4)`` of tokens [T, B, N, D] or rows [R, D]; one MAC a token."""

    kind = Kind.MASK

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [T, B, N] or [R], 0 to 1."""
        return torch.sigmoid(_GAIN * x[..., 0] - _SHIFT)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count one multiply-accumulate per token."""
        return Facts(macs=inputs[0].shape[-2])

    def events(self, inputs: Sequence[Tensor], output: Tensor, count: Count) -> Tensor:
        """Count the tokens whose first channel is not zero."""
        return torch.count_nonzero(inputs[0][..., 0])


class AdaptiveComputation(nn.Module):
    """Runs the blocks on the tokens that have not halted.

    Attributes:
        is_compact: whether evaluation computes only the rows of active tokens, without gradients;
            False masks tokens as in training, with gradients, as exported graphs do.
    """

    score = HaltingScore

    def __init__(self, *, num_blocks: int, threshold: float, ponder_cost: float) -> None:
        super().__init__()
        self.threshold, self.ponder_cost = threshold, ponder_cost
        self.scores = nn.ModuleList(self.score() for _ in range(num_blocks - 1))
        self.is_compact = True

    def forward(
        self, blocks: Sequence[nn.Module], head: Callable[..., Tensor], x: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return logits [B, classes], and in training the ponder loss rho."""
        run = self._run
        if torch.compiler.is_compiling() and not torch.compiler.is_exporting():
            run = torch.compiler.disable(run)  # the number of active tokens depends on data
        return run(blocks, head, x)

    def _run(
        self, blocks: Sequence[nn.Module], head: Callable[..., Tensor], x: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        active: ActiveTokens | None = None
        sums = [x.new_zeros(x.shape[:3])]  # H of 0, 1, ... blocks, each [T, B, N]
        passed = [torch.ones_like(sums[0])]  # where blocks 1, 2, ... compute
        for i, block in enumerate(blocks):
            x = block(x, **active_kwargs(active))
            if i == len(self.scores):
                break
            score = self.scores[i](x)
            if x.shape[1] == 0:  # a trace has no samples, so nothing halts
                continue
            if isinstance(active, PackedTokens):
                score = active.to_dense(score)
            sums.append(sums[-1] + (score * passed[-1]).cumsum(0))
            x, active = self._halted(x, sums[-1], active)
            passed.append((sums[-1] < self.threshold).to(x.dtype))
        logits = head(x, **active_kwargs(active))
        return logits, ponder(sums, passed, self.threshold) if self.training else None

    def _halted(
        self, x: Tensor, total: Tensor, active: ActiveTokens | None
    ) -> tuple[Tensor, ActiveTokens | None]:
        """Return the stream of the active tokens, and which tokens are active."""
        if self.training or not self.is_compact or torch.compiler.is_exporting():
            masked = MaskedTokens(mask=_mask(total, self.threshold))
            return masked.masked(x), masked
        is_active = total < self.threshold
        if is_active.all():
            return x, None
        packed = PackedTokens.of(is_active)
        if isinstance(active, PackedTokens):
            return packed.within(active, x), packed
        return packed.from_dense(x), packed


def ponder(sums: Sequence[Tensor], passed: Sequence[Tensor], threshold: float) -> Tensor:
    """Return rho, see the module's docstring.

    ``sums`` are H before blocks 1 to L, ``passed`` is 1 where a block computes, each [T, B, N]. The
    gradient of rho with respect to a score before the last block that a token passed is
    -1 / threshold in each later cell of the rectangle.
    """
    count = torch.stack(list(passed)).sum(0)  # n [T, B, N]
    before = torch.stack(list(sums)).gather(0, count.long().unsqueeze(0) - 1)[0]
    return (count + 1.0 - before / threshold).mean() / len(passed)


def _mask(total: Tensor, threshold: float) -> Tensor:
    """Return ``1[H < threshold]``, with the gradient of a sigmoid."""
    soft = torch.sigmoid(_SLOPE * (threshold - total))
    return (total < threshold).to(total.dtype) + (soft - soft.detach())
