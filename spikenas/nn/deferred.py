"""Tensors that wait to be computed until an operation asks for their values.

Equations stay one operation after another, ``S(BN(W x + b))``; yet an operation that can do the
work of the one before it on the way takes that apart: batch norm the bias before it, a neuron
the batch norm. To anything else a deferred tensor is the tensor that it stands for.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from spikenas.nn.kernels import Norm, attended, count_non_zero, normalise

_KNOWN = {Tensor.dim, Tensor.size, Tensor.numel, Tensor.is_floating_point} | {
    getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim", "is_meta")
}


class Deferred(Tensor):
    """A tensor without values of its own; any use but of shape, type or device computes them."""

    @staticmethod
    def __new__(cls, shape: Iterable[int], like: Tensor, *parts: Any) -> Self:
        """Take shape, type and device; the rest is for ``__init__``."""
        made: Self = Tensor._make_wrapper_subclass(
            cls, tuple(shape), dtype=like.dtype, device=like.device
        )
        return made

    def compute(self) -> Tensor:
        """Return the values; called once."""
        raise NotImplementedError

    def value(self) -> Tensor:
        """Return the tensor that this one stands for."""
        found: Tensor | None = self.__dict__.get("_value")
        if found is None:
            found = self.__dict__["_value"] = self.compute()
        return found

    def count_non_zero(self) -> Tensor | int:
        """Return how many of the values are not zero."""
        return count_non_zero(self.value())

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute what is deferred among the arguments, then do as asked."""
        if func in _KNOWN:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))
        args, kwargs = tree_map(valued, (args, dict(kwargs or {})))
        return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Refuse what goes past ``__torch_function__``: there are no values, and no gradient."""
        raise RuntimeError(f"{func} cannot take a deferred tensor; give it `valued(x)`")


class Held(Deferred):
    """The same values at every step [T, ...], of ``once`` [1, ...]."""

    def __init__(self, shape: Iterable[int], once: Tensor) -> None:
        self.once = once

    @classmethod
    def over(cls, once: Tensor, num_steps: int) -> "Held":
        """Hold one step."""
        return cls((num_steps, *once.shape[1:]), once)

    def compute(self) -> Tensor:
        """Show it at every step."""
        return self.once.expand(self.shape)

    def count_non_zero(self) -> Tensor | int:
        """Count one step."""
        return count_non_zero(self.once) * self.shape[0]


class Biased(Deferred):
    """``product + bias`` of the last axis; ``product`` may be held."""

    def __init__(self, shape: Iterable[int], product: Tensor, bias: Tensor) -> None:
        self.product, self.bias = product, bias

    def compute(self) -> Tensor:
        """Add."""
        return self.product + self.bias


class Normalised(Deferred):
    """A batch norm of ``source``, a map or tokens; it may be held."""

    def __init__(self, shape: Iterable[int], source: Tensor, norm: Norm) -> None:
        self.source, self.batch_norm = source, norm

    def reshaped(self, change: Callable[[Tensor], Tensor]) -> "Normalised":
        """Return the same with its source in another shape."""
        source = change(self.source)
        return Normalised(source.shape, source, self.batch_norm)

    def compute(self) -> Tensor:
        """Normalise."""
        once, num_steps = steps_of(self.source)
        y = from_rows(normalise(to_rows(once), self.batch_norm), like=once)
        return y.expand(num_steps, *y.shape[1:])


class Similarity(Deferred):
    """``scale Q K^T`` of each head, q and k [T, B, h, N, d]."""

    def __init__(self, shape: Iterable[int], q: Tensor, k: Tensor, scale: float) -> None:
        self.q, self.k, self.scale = q, k, scale

    def compute(self) -> Tensor:
        """Multiply."""
        return (self.q @ self.k.mT) * self.scale

    def count_non_zero(self) -> Tensor | int:
        """Count the pairs of tokens whose spikes meet: sums of spikes do not vanish."""
        return attended(self.q, self.k)


def steps_of(x: Tensor) -> tuple[Tensor, int]:
    """Return what there is to compute of x [T, ...], one step where all are the same, and T."""
    return (x.once if isinstance(x, Held) else x), x.shape[0]


def to_rows(x: Tensor) -> Tensor:
    """Return a map [T, B, C, H, W] as rows [T, B, H, W, C]; anything else is rows already."""
    return x.movedim(2, -1) if x.dim() == 5 else x


def from_rows(rows: Tensor, like: Tensor) -> Tensor:
    """Undo `to_rows`."""
    return rows.movedim(-1, 2) if like.dim() == 5 else rows


def at_each_step(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return ``run(x)`` of an operation that sees every step alike; once where x is held."""
    return Held.over(run(x.once), x.shape[0]) if isinstance(x, Held) else run(x)


def valued(x: Any) -> Any:
    """Return the tensor behind a deferred one, anything else as it is."""
    return x.value() if isinstance(x, Deferred) else x
