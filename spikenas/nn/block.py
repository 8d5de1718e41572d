"""One block: token mixer, then MLP, each added to the stream by the residual.

Axes: T steps, B batch, N tokens, D width.
"""

from torch import Tensor, nn

from spikenas.nn.active_tokens import ActiveTokens, active_kwargs
from spikenas.nn.mixers.mixer import Mixer


class Block(nn.Module):
    """Mixes across tokens, then across channels; either sub-block may be left out."""

    def __init__(self, *sub_blocks: nn.Module) -> None:
        super().__init__()
        self.sub_blocks = nn.Sequential(*sub_blocks)
        for sub_block in sub_blocks:
            if isinstance(sub_block.branch, Mixer):
                sub_block.branch.initialise(self)

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return the stream [T, B, N, D], of the active tokens."""
        for sub_block in self.sub_blocks:
            x = sub_block(x, **active_kwargs(active))
        return x
