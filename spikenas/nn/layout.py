"""Where tensors change shape between operations, so that a trace can follow them.

Axes: T steps, B batch, C = D channels, H, W map, N = H W tokens in raster order.
Operations see maps [T, B, C, H, W] or tokens [T, B, N, D]; nothing else is passed around.
"""

from collections.abc import Callable
from contextvars import ContextVar

from torch import Tensor

# A trace sets this to learn that a reshaped tensor carries the signal of another one.
follow: ContextVar[Callable[[Tensor, Tensor], None] | None] = ContextVar("follow", default=None)


def to_tokens(x: Tensor) -> Tensor:
    """Turn a map [T, B, C, H, W] into tokens [T, B, N, D]."""
    return same_signal(x, x.flatten(3).mT)


def to_map(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Turn tokens [T, B, N, D] into a map [T, B, C, H, W] on ``grid`` (H, W)."""
    return same_signal(x, x.mT.unflatten(3, grid))


def repeat_in_time(frames: Tensor, num_steps: int) -> Tensor:
    """Direct coding: show the same frames [B, C, H, W] at every step [T, B, C, H, W]."""
    return same_signal(frames, frames.unsqueeze(0).expand(num_steps, *frames.shape))


def steps_first(events: Tensor) -> Tensor:
    """Turn events [B, T, C, H, W] into [T, B, C, H, W]."""
    return same_signal(events, events.transpose(0, 1))


def same_signal(old: Tensor, new: Tensor) -> Tensor:
    """Return ``new``, having told a running trace that it is ``old`` in another shape."""
    tell = follow.get()
    if tell is not None:
        tell(old, new)
    return new
