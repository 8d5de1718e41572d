"""Layers of several operations that one kernel runs: ``S(BN(W x))`` and ``s Q K^T V``.

`definition` is the layer in one line of operations; `forward` computes the same, faster. Traced
and compiled graphs, modules with hooks, inputs of another dtype than the weights, and rows of
active tokens use the definition. Axes: T steps, B batch, C = D channels, H, W map, N tokens,
h heads, d = D / h.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import frexp
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from spikenas.nn.active_tokens import (
    ActiveTokens,
    MaskedTokens,
    PackedTokens,
    active_kwargs,
    as_rows,
    by_sample,
)
from spikenas.nn.kernels import attended, meetings, normalise
from spikenas.nn.layout import from_rows, hold, once, to_rows
from spikenas.nn.neurons.neuron import Neuron
from spikenas.nn.operations import (
    BatchNorm,
    Conv,
    ConvOverTokens,
    Leaf,
    Linear,
    TokenAggregation,
    TokenSimilarity,
)
from spikenas.nn.operations.attention import heads

Weighted = Conv | ConvOverTokens | Linear


@dataclass(frozen=True, slots=True)
class Counted:
    """The number of non-zeros or events of a tensor that is never computed."""

    number: Tensor | int


@dataclass(frozen=True, slots=True)
class Seen:
    """An operation inside a layer, as a measurement sees it; None is not counted."""

    name: str
    leaf: Leaf
    inputs: Sequence[Tensor | Counted | None]
    output: Tensor | Counted | None
    events: Counted | None = None


class Layer(nn.Module):
    """Base class: when to use the definition, and what a measurement sees inside the layer."""

    def seen(
        self, inputs: Sequence[Tensor], output: Tensor, active: ActiveTokens | None
    ) -> Iterator[Seen]:
        """Yield the operations that a measurement counts."""
        raise NotImplementedError

    def is_written_out(self, x: Tensor) -> bool:
        """Whether the operations must run one by one."""
        if torch.compiler.is_compiling() or torch.compiler.is_exporting():
            return True
        if x.is_meta or x.numel() == 0 or torch.is_autocast_enabled(x.device.type):
            return True
        return _has_any_global_hook() or any(
            inner._forward_hooks
            or inner._forward_pre_hooks
            or inner._backward_hooks
            or inner._backward_pre_hooks
            for inner in self.children()
        )


class _Normed(Layer):
    """``S(BN(W x))``, or ``BN(W x)`` without a neuron.

    Attributes:
        neuron: S, or any module in its place; a residual whose branch ends here sets it later.
    """

    _place: ClassVar[str]  # the name of the operation with weights

    def __init__(self, weighted: nn.Module, channels: int, neuron: nn.Module | None) -> None:
        super().__init__()
        self.add_module(self._place, weighted)
        self.norm, self.neuron = BatchNorm(channels), neuron

    @property
    def weighted(self) -> Weighted:
        """The operation with weights."""
        return getattr(self, self._place)

    def definition(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return ``neuron(norm(weighted(x)))``."""
        currents: Tensor = self.norm(self.weighted(x), active=active)
        return self._fired(currents, active=active)

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return spikes, or currents where there is no neuron."""
        if isinstance(active, PackedTokens) or self.is_written_out(x):
            return self.definition(x, active=active)
        weighted, T = self.weighted, x.shape[0]
        if active is not None and x.dim() == 4:
            return self._fired(self._masked(weighted.product(x), active), active=active)
        product = weighted.product(once(x))  # one step if all are the same
        norm = self.norm.of(product, T, weighted.bias)
        if norm is None:
            return self.definition(x)
        if isinstance(self.neuron, Neuron) and self.neuron.charge_name is not None:
            return self.neuron.fire(product, T, norm)
        currents = from_rows(normalise(to_rows(product), norm), like=product)
        return self._fired(hold(currents, T) if len(currents) < T else currents)

    def _masked(self, product: Tensor, active: MaskedTokens) -> Tensor:
        """Return the currents of the active tokens, zero for the others."""
        rows = active.rows(product)
        norm = self.norm.of(rows, len(rows), self.weighted.bias) if len(rows) else None
        if norm is None:  # too few rows for statistics
            return product * 0.0
        return active.from_rows(normalise(rows, norm), product)

    def _fired(self, currents: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        if self.neuron is None:
            return currents
        return self.neuron(currents, **active_kwargs(active))

    def seen(
        self, inputs: Sequence[Tensor], output: Tensor, active: ActiveTokens | None
    ) -> Iterator[Seen]:
        """Yield the product and the neuron; the currents between them are not counted."""
        yield Seen(self._place, self.weighted, inputs, None)
        if isinstance(self.neuron, Neuron):
            yield Seen("neuron", self.neuron, (None,), output)


class ConvNorm(_Normed):
    """``BN(conv(x))`` of a map [T, B, C, H, W], optionally with a neuron."""

    _place = "conv"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        padding: int | None = None,
        neuron: nn.Module | None = None,
    ) -> None:
        conv = Conv(in_channels, out_channels, kernel_size, stride=stride, padding=padding)
        super().__init__(conv, out_channels, neuron)


class LinearNorm(_Normed):
    """``BN(W x + b)`` of tokens [T, B, N, D], optionally with a neuron."""

    _place = "linear"

    def __init__(
        self, in_dim: int, out_dim: int, *, bias: bool, neuron: nn.Module | None = None
    ) -> None:
        super().__init__(Linear(in_dim, out_dim, bias=bias), out_dim, neuron)


class ConvOverTokensNorm(_Normed):
    """``BN(conv(x))`` along the raster order of tokens [T, B, N, D], optionally with a neuron."""

    _place = "conv"

    def __init__(
        self, in_dim: int, out_dim: int, kernel_size: int, *, neuron: nn.Module | None = None
    ) -> None:
        super().__init__(ConvOverTokens(in_dim, out_dim, kernel_size), out_dim, neuron)


class SpikeAttention(Layer):
    """``s Q K^T V`` per head of spikes [T, B, N, D]; no softmax.

    If N > d it is computed as ``Q (K^T V s)``, which costs less. If the scale is a power of two, as
    the published one is, the sums of integers are exact, so the result is the same.
    """

    def __init__(self, num_heads: int, scale: float) -> None:
        super().__init__()
        self.similarity = TokenSimilarity(num_heads, scale)
        self.aggregation = TokenAggregation()

    def definition(
        self, q: Tensor, k: Tensor, v: Tensor, *, active: ActiveTokens | None = None
    ) -> Tensor:
        """Return the sums of V's spikes, weighted by the common spikes of Q and K."""
        attn = self.similarity(q, k, active=active)  # [T, B, h, N, N]
        return self.aggregation(attn, v, active=active)

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, *, active: ActiveTokens | None = None
    ) -> Tensor:
        """Return counts [T, B, N, D]."""
        num_heads, scale = self.similarity.num_heads, self.similarity.scale
        tokens = [by_sample(x, active) for x in (q, k, v)]
        N, d = tokens[0].shape[2], tokens[0].shape[3] // num_heads
        is_exact = q.dtype in (torch.float32, torch.float64) and frexp(scale)[0] == 0.5
        if d >= N or not is_exact or self.is_written_out(q):
            return self.definition(q, k, v, active=active)
        of_q, of_k, of_v = (heads(x, num_heads) for x in tokens)
        y = of_q @ ((of_k.mT @ of_v) * scale)  # [T, B, h, N, d]
        return as_rows(y.transpose(2, 3).flatten(3), active)

    def seen(
        self, inputs: Sequence[Tensor], output: Tensor, active: ActiveTokens | None
    ) -> Iterator[Seen]:
        """Yield both products; A is non-zero wherever spikes of Q and K coincide."""
        q, k, v = (by_sample(x, active) for x in inputs)
        of_q, of_k, of_v = (heads(x, self.similarity.num_heads) for x in (q, k, v))
        attn = Counted(attended(of_q, of_k))
        yield Seen("similarity", self.similarity, inputs[:2], attn, Counted(meetings(q, k)))
        events = Counted(attended(of_q, of_k, of_v))
        yield Seen("aggregation", self.aggregation, (attn, inputs[2]), output, events)
