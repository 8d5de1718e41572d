"""No halting: all tokens pass all blocks."""

from collections.abc import Callable, Iterable

from torch import Tensor, nn


class NoHalting(nn.Module):
    """Runs the blocks, then the head."""

    def forward(
        self, blocks: Iterable[nn.Module], head: Callable[[Tensor], Tensor], x: Tensor
    ) -> tuple[Tensor, None]:
        """Return logits [B, classes]; there is nothing to ponder."""
        for block in blocks:
            x = block(x)
        return head(x), None
