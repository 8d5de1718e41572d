"""Tensors that wait to be computed until an operation asks for their values.

Equations stay one operation after another, ``S(BN(W x + b))``; yet an operation that can do the
work of the one before it on the way takes that apart: batch norm the bias before it, a neuron
the batch norm. To anything else that PyTorch calls, a hook too, a deferred tensor is the tensor
that it stands for; once its values were asked for it is not taken apart any more. Only what goes
past ``__torch_function__`` must be given `valued`: an ``autograd.Function`` of one's own. So
operations wait inside a network alone, see `spikenas.nn.layout.deferring`.
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

    def made_of(self, *parts: Tensor) -> None:
        """Remember what it will be computed from, and how: as if it were computed now."""
        self._is_inference = torch.is_inference_mode_enabled()
        self._has_grad = torch.is_grad_enabled()
        self._found: Tensor | None = None
        plain = [] if self._is_inference else [x for x in parts if not isinstance(x, Deferred)]
        self._parts = [(x, x._version) for x in plain if not x.is_inference()]

    def compute(self) -> Tensor:
        """Return the values; called once."""
        raise NotImplementedError

    def value(self) -> Tensor:
        """Return the tensor that this one stands for."""
        if self._found is None:
            self.check()
            with torch.inference_mode(self._is_inference), torch.set_grad_enabled(self._has_grad):
                self._found = self.compute()
        return self._found

    def check(self) -> None:
        """Raise RuntimeError if what it is made of was changed in place."""
        if any(x._version != version for x, version in self._parts):
            raise RuntimeError(
                "a tensor was changed in place between two operations of a network that run as "
                "one; change a copy of it"
            )

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
        self.made_of(once)
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
        self.made_of(product, bias)
        self.product, self.bias = product, bias

    def compute(self) -> Tensor:
        """Add."""
        return self.product + self.bias


class Normalised(Deferred):
    """A batch norm of ``source``, a map or tokens; it may be held."""

    def __init__(self, shape: Iterable[int], source: Tensor, norm: Norm) -> None:
        self.made_of(source, norm.weight, norm.bias, norm.mean, norm.invstd)
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
        self.made_of(q, k)
        self.q, self.k, self.scale = q, k, scale

    def compute(self) -> Tensor:
        """Multiply."""
        return (self.q @ self.k.mT) * self.scale

    def count_non_zero(self) -> Tensor | int:
        """Count the pairs of tokens whose spikes meet: sums of spikes do not vanish."""
        return attended(self.q, self.k)


def steps_of(x: Tensor) -> tuple[Tensor, int]:
    """Return what there is to compute of x [T, ...], one step where all are the same, and T."""
    x = taken(x)
    return (x.once if isinstance(x, Held) else x), x.shape[0]


def to_rows(x: Tensor) -> Tensor:
    """Return a map [T, B, C, H, W] as rows [T, B, H, W, C]; anything else is rows already."""
    return x.movedim(2, -1) if x.dim() == 5 else x


def from_rows(rows: Tensor, like: Tensor) -> Tensor:
    """Undo `to_rows`."""
    return rows.movedim(-1, 2) if like.dim() == 5 else rows


def at_each_step(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return ``run(x)`` of an operation that sees every step alike; once where x is held."""
    x = taken(x)
    return Held.over(run(x.once), x.shape[0]) if isinstance(x, Held) else run(x)


def taken(x: Tensor) -> Tensor:
    """Return a deferred tensor to be taken apart, or what it stands for if that is known."""
    if not isinstance(x, Deferred):
        return x
    if x._found is not None:
        return x._found
    x.check()
    return x


def valued(x: Any) -> Any:
    """Return the tensor behind a deferred one, anything else as it is."""
    return x.value() if isinstance(x, Deferred) else x
