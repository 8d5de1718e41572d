"""How tensors change shape between operations.

Axes: T steps, B batch, C = D channels, H, W map, N = H W tokens in raster order.
Operations take maps [T, B, C, H, W], tokens [T, B, N, D], or the rows [R, D] of the tokens that
have not halted (`spikenas.nn.active_tokens`). Channels are last in memory, so that maps and tokens
are the same rows; `channels_last` converts the input. A tensor that is the same at every step is
stored once and expanded to T steps with a stride of 0.
"""

from torch import Tensor


def to_tokens(x: Tensor) -> Tensor:
    """Turn a map [T, B, C, H, W] into tokens [T, B, N, D]."""
    return x.flatten(3).mT


def to_map(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Turn tokens [T, B, N, D] into a map [T, B, C, H, W] on ``grid`` (H, W)."""
    return x.mT.unflatten(3, grid)


def repeat_in_time(frames: Tensor, num_steps: int) -> Tensor:
    """Direct coding: show the same frames [B, C, H, W] at every step [T, B, C, H, W]."""
    return hold(channels_last(frames.unsqueeze(0)), num_steps)


def hold(x: Tensor, num_steps: int) -> Tensor:
    """Show one step [1, B, ...] at every step [T, B, ...], without a copy."""
    return x.expand(num_steps, *x.shape[1:])


def once(x: Tensor) -> Tensor:
    """Return the part of x [T, ...] to compute: [1, ...] if all steps share their memory."""
    return x[:1] if x.shape[0] > 1 and x.stride(0) == 0 else x


def steps_first(events: Tensor) -> Tensor:
    """Turn events [B, T, C, H, W] into [T, B, C, H, W]."""
    return channels_last(events.transpose(0, 1))


def channels_last(x: Tensor) -> Tensor:
    """Return a map [T, B, C, H, W] whose channels are contiguous in memory."""
    return from_rows(to_rows(x).contiguous(), like=x)


def repeat_heads(x: Tensor, head_dim: int) -> Tensor:
    """Give each of the d channels of a head its head's value: [T, B, N, h] to [T, B, N, D]."""
    return x.repeat_interleave(head_dim, dim=-1)


def to_rows(x: Tensor) -> Tensor:
    """Return a map [T, B, C, H, W] as rows [T, B, H, W, C]; other tensors are rows already."""
    return x.movedim(2, -1) if x.dim() == 5 else x


def from_rows(rows: Tensor, like: Tensor) -> Tensor:
    """Undo `to_rows`."""
    return rows.movedim(-1, 2) if like.dim() == 5 else rows
