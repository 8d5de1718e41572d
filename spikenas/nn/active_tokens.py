"""Which tokens are still active once some have halted, in two equivalent forms.

`MaskedTokens`, for training: tensors stay [T, B, N, D] and halted tokens are zero. The mask is
differentiable. `PackedTokens`, for evaluation: only the rows [R, D] of the active tokens, one step
after the other. A token that has halted stays halted at all later steps. So if tokens are sorted
by the number of steps for which they are active, those of step t are the first ones of step t - 1,
and membranes need no gather. Axes: T steps, B batch, N tokens, D width, R rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskedTokens:
    """``mask`` [T, B, N] is 1 where a token is active, else 0; gradients flow through it."""

    mask: Tensor

    @cached_property
    def is_active(self) -> Tensor:
        """The mask as booleans."""
        return self.mask.detach().bool()

    @cached_property
    def counts(self) -> Tensor:
        """Active tokens of each sample at each step, [T, B]."""
        return self.is_active.sum(2)

    def masked(self, x: Tensor) -> Tensor:
        """Return [T, B, N, D] with zeros for halted tokens."""
        return x * self.mask.unsqueeze(3)

    def rows(self, x: Tensor) -> Tensor:
        """Return the active rows [R, D] of tokens [T, B, N, D]."""
        return x[self.is_active]

    def from_rows(self, rows: Tensor, like: Tensor) -> Tensor:
        """Return [T, B, N, D] of the shape of ``like``, zero where a token has halted."""
        return like.new_zeros(like.shape).index_put(self.is_active.nonzero(as_tuple=True), rows)


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedTokens:
    """The order of the rows.

    Attributes:
        shape: (T, B, N) of all tokens.
        tokens: the tokens b N + k that are active at the first step, longest active first, [M].
        sizes: how many of them are active at each step, T non-increasing numbers.
    """

    shape: tuple[int, int, int]
    tokens: Tensor
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, is_active: Tensor) -> "PackedTokens":
        """Build from booleans [T, B, N] that never become true again as t grows."""
        T, B, N = is_active.shape
        lifetimes = is_active.sum(0).flatten()  # [B N]
        order = lifetimes.argsort(descending=True, stable=True)
        sizes = tuple(int((lifetimes > t).sum()) for t in range(T))
        return cls(shape=(T, B, N), tokens=order[: sizes[0]], sizes=sizes)

    @cached_property
    def counts(self) -> Tensor:
        """Active tokens of each sample at each step, [T, B]."""
        _, B, N = self.shape
        samples = self.tokens // N
        return torch.stack([torch.bincount(samples[:m], minlength=B) for m in self.sizes])

    def steps(self, rows: Tensor) -> Iterator[Tensor]:
        """Yield the rows of each step, [M_t, D]."""
        yield from rows.split(self.sizes)

    def from_dense(self, x: Tensor) -> Tensor:
        """Return the rows [R, ...] of tokens [T, B, N, ...]."""
        flat = x.flatten(1, 2)  # [T, B N, ...]
        return torch.cat([flat[t, self.tokens[:m]] for t, m in enumerate(self.sizes)])

    def to_dense(self, rows: Tensor) -> Tensor:
        """Return [T, B, N, ...] with zeros for halted tokens."""
        T, B, N = self.shape
        dense = rows.new_zeros(T, B * N, *rows.shape[1:])
        for t, (step, m) in enumerate(zip(self.steps(rows), self.sizes, strict=True)):
            dense[t, self.tokens[:m]] = step
        return dense.unflatten(1, (B, N))

    def within(self, earlier: "PackedTokens", rows: Tensor) -> Tensor:
        """Select the rows of these tokens from those of an earlier, larger packing."""
        _, B, N = self.shape
        place = self.tokens.new_zeros(B * N)
        place[earlier.tokens] = torch.arange(len(earlier.tokens), device=place.device)
        index = place[self.tokens]
        steps = zip(earlier.steps(rows), self.sizes, strict=True)
        return torch.cat([step[index[:m]] for step, m in steps])

    def padded(self, rows: Tensor) -> Tensor:
        """Return [T, B, n, D] with the active tokens of each sample first, then zeros."""
        T, B, _ = self.shape
        padded = rows.new_zeros(T * B * self._most, rows.shape[-1])
        padded[self._places] = rows
        return padded.view(T, B, self._most, rows.shape[-1])

    def unpadded(self, x: Tensor) -> Tensor:
        """Return the rows [R, D] of [T, B, n, D]."""
        return x.flatten(0, 2)[self._places]

    @cached_property
    def _most(self) -> int:
        return int(self.counts[0].max()) if len(self.tokens) else 0

    @cached_property
    def _places(self) -> Tensor:
        """The index of each row in T B n, by the rank of its token within the sample."""
        _, B, N = self.shape
        samples = self.tokens // N
        by_sample = samples.argsort(stable=True)
        starts = self.counts[0].cumsum(0) - self.counts[0]
        ranks = torch.empty_like(samples)
        ranks[by_sample] = (
            torch.arange(len(samples), device=samples.device) - starts[samples[by_sample]]
        )
        first = samples * self._most + ranks  # at step 0
        return torch.cat([t * B * self._most + first[:m] for t, m in enumerate(self.sizes)])


ActiveTokens = MaskedTokens | PackedTokens


def by_sample(x: Tensor, active: ActiveTokens | None) -> Tensor:
    """Turn rows [R, D] into [T, B, n, D] with n the most active tokens of any sample."""
    return active.padded(x) if isinstance(active, PackedTokens) and x.dim() == 2 else x


def as_rows(x: Tensor, active: ActiveTokens | None) -> Tensor:
    """Undo `by_sample`."""
    return active.unpadded(x) if isinstance(active, PackedTokens) else x


class ActiveKwargs(TypedDict, total=False):
    """The keyword argument of modules that compute on active tokens only."""

    active: ActiveTokens


def active_kwargs(active: ActiveTokens | None) -> ActiveKwargs:
    """Return it as a keyword argument, or none if no token has halted: not all modules take it."""
    return {} if active is None else {"active": active}
