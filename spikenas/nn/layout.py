"""Where tensors change shape between operations, so that a trace can follow them.

Axes: T steps, B batch, C = D channels, H, W map, N = H W tokens in raster order.
Operations see maps [T, B, C, H, W] or tokens [T, B, N, D]; nothing else is passed around, but for
rows [R, D] of the tokens that have not halted (`spikenas.nn.active_tokens`). In memory channels
come last, so that maps and tokens are the same rows; `channels_last` is where an input gets so.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _global_backward_hooks

from spikenas.nn.active_tokens import MaskedTokens, PackedTokens
from spikenas.nn.deferred import Held, Normalised, from_rows, taken, to_rows

ActiveTokens = MaskedTokens | PackedTokens
# A trace sets this to learn that a reshaped tensor carries the signal of another one.
follow: ContextVar[Callable[[Tensor, Tensor], None] | None] = ContextVar("follow", default=None)
_is_deferring: ContextVar[bool] = ContextVar("is_deferring", default=False)
_active: ContextVar[ActiveTokens | None] = ContextVar("active", default=None)


def to_tokens(x: Tensor) -> Tensor:
    """Turn a map [T, B, C, H, W] into tokens [T, B, N, D]."""
    x = taken(x)
    if isinstance(x, Normalised):
        return same_signal(x, x.reshaped(to_tokens))
    if isinstance(x, Held):
        return Held.over(to_tokens(x.once), x.shape[0])
    return same_signal(x, x.flatten(3).mT)


def to_map(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Turn tokens [T, B, N, D] into a map [T, B, C, H, W] on ``grid`` (H, W)."""
    return same_signal(x, x.mT.unflatten(3, grid))


def repeat_in_time(frames: Tensor, num_steps: int) -> Tensor:
    """Direct coding: show the same frames [B, C, H, W] at every step [T, B, C, H, W]."""
    return hold(same_signal(frames, channels_last(frames.unsqueeze(0))), num_steps)


def first_step(x: Tensor) -> Tensor:
    """Return the first step of [T, B, ...] as [1, B, ...]."""
    x = taken(x)
    return x.once if isinstance(x, Held) else same_signal(x, x[:1])


def hold(x: Tensor, num_steps: int) -> Tensor:
    """Show one step [1, B, ...] at every step [T, B, ...]."""
    if is_deferring(x):
        return Held.over(x, num_steps)
    return same_signal(x, x.expand(num_steps, *x.shape[1:]))


def steps_first(events: Tensor) -> Tensor:
    """Turn events [B, T, C, H, W] into [T, B, C, H, W]."""
    return same_signal(events, channels_last(events.transpose(0, 1)))


def channels_last(x: Tensor) -> Tensor:
    """Return a map [T, B, C, H, W] whose channels lie next to each other in memory."""
    return from_rows(to_rows(x).contiguous(), like=x)


def repeat_heads(x: Tensor, head_dim: int) -> Tensor:
    """Give each of the d channels of a head its head's value: [T, B, N, h] to [T, B, N, D]."""
    return same_signal(x, x.repeat_interleave(head_dim, dim=-1))


def is_deferring(x: Tensor) -> bool:
    """Whether operations on x may wait for the next one; where a graph is written down none do."""
    is_written = torch.compiler.is_compiling() or torch.compiler.is_exporting()
    return not (is_written or x.is_meta or x.numel() == 0) and _is_deferring.get()


@contextmanager
def deferring(module: nn.Module) -> Iterator[None]:
    """Let the operations of a module, which computes alone with ours, wait for each other.

    Backward hooks see every tensor, so with any nothing waits.
    """
    hooked = (m._backward_hooks or m._backward_pre_hooks for m in module.modules())
    token = _is_deferring.set(not (_global_backward_hooks or any(hooked)))
    try:
        yield
    finally:
        _is_deferring.reset(token)


def same_signal(old: Tensor, new: Tensor) -> Tensor:
    """Return ``new``, having told a running trace that it is ``old`` in another shape."""
    tell = None if torch.compiler.is_compiling() else follow.get()
    if tell is not None:
        tell(old, new)
    return new


@contextmanager
def only(active: ActiveTokens | None) -> Iterator[None]:
    """Compute but the active tokens inside; None means all of them."""
    token = _active.set(active)
    try:
        yield
    finally:
        _active.reset(token)


def active_tokens() -> ActiveTokens | None:
    """Return the tokens to compute, None where none has halted; nothing compiled halts."""
    is_compiled = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    return None if is_compiled else _active.get()


def by_sample(x: Tensor) -> Tensor:
    """Turn rows [R, D] into [T, B, n, D], n the most active tokens of a sample; else ``x``."""
    active = active_tokens()
    return active.padded(x) if isinstance(active, PackedTokens) and x.dim() == 2 else x


def as_rows(x: Tensor) -> Tensor:
    """Undo `by_sample`."""
    active = active_tokens()
    return active.unpadded(x) if isinstance(active, PackedTokens) else x
