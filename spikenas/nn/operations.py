"""The small vocabulary of operations that every network is assembled from.

Axes: T steps, B batch, C = D channels, H, W map, N tokens, h heads, d = D / h.
Each is a module and says itself what it costs (`Leaf.facts`) and what its output carries
(`Leaf.carries`); ``spikenas.measurement`` writes that down as a Workload. Batch normalisation
sees T B merged: one set of statistics for all steps. Spikes are floats of 0 and 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikenas.workload import Kind, Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a leaf tells of itself; counts as in `spikenas.workload.Operation`."""

    macs: int = 0  # per sample and step
    weights: int = 0
    biases: int = 0
    neurons: int = 0
    attributes: dict[str, int | float | str] = field(default_factory=dict)
    ends_time: bool = False  # the output has no step axis


class Leaf(nn.Module):
    """Every module that a trace stops at."""

    kind: Kind

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Return the costs for inputs of these shapes; ``output`` may be a meta tensor."""
        return Facts()

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Return the signal of the output, given those of the inputs."""
        return Signal.MEMBRANE


class Conv(nn.Conv2d, Leaf):
    """Square convolution of a map [T, B, C, H, W], the same at every step."""

    kind = Kind.CONV

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = False,
    ) -> None:
        padding = kernel_size // 2 if padding is None else padding
        super().__init__(
            in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, C', H', W']."""
        y = super().forward(x.flatten(0, 1))  # [T B, C', H', W']
        out: Tensor = y.unflatten(0, x.shape[:2])
        return out

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count k k C C' H' W' multiply-accumulates."""
        return Facts(
            macs=self.weight.numel() * output.shape[-2] * output.shape[-1],
            weights=self.weight.numel(),
            biases=0 if self.bias is None else self.bias.numel(),
            attributes={
                "kernel_size": int(self.kernel_size[0]),
                "stride": int(self.stride[0]),
                "padding": int(self.padding[0]),
            },
        )


class Linear(nn.Linear, Leaf):
    """Linear map of the last axis: tokens [T, B, N, D] or vectors [B, D]."""

    kind = Kind.LINEAR

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count D D' multiply-accumulates per token."""
        tokens = output.shape[-2] if output.dim() == 4 else 1
        return Facts(
            macs=self.weight.numel() * tokens,
            weights=self.weight.numel(),
            biases=0 if self.bias is None else self.bias.numel(),
        )


class TokenMixing(Leaf):
    """``Y[:, c] = M_i X[:, c]`` for the d channels c of head i; ``weight`` is [h, N, N]."""

    kind = Kind.TOKEN_MIXING

    def __init__(self, num_tokens: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.weight = nn.Parameter(torch.empty(num_heads, num_tokens, num_tokens))

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, N, D]."""
        T, B, N, D = x.shape
        columns = x.reshape(T * B, N, self.num_heads, -1).permute(2, 1, 0, 3)  # [h, N, T B, d]
        mixed = self.weight @ columns.flatten(2)  # [h, N, T B d], one product per head
        out: Tensor = mixed.unflatten(2, (T * B, -1)).permute(2, 1, 0, 3).reshape(T, B, N, D)
        return out

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N N D multiply-accumulates."""
        N, D = output.shape[-2:]
        return Facts(
            macs=N * N * D, weights=self.weight.numel(), attributes={"num_heads": self.num_heads}
        )


class BatchNorm(Leaf):
    """Batch normalisation of the channels of a map [T, B, C, H, W] or of tokens [T, B, N, D]."""

    kind = Kind.BATCH_NORM
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; in training with the batch's statistics over T, B and positions."""
        if x.dim() == 5:
            maps: Tensor = self._normalise(x.flatten(0, 1)).unflatten(0, x.shape[:2])
            return maps
        rows = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)  # [1, D, rows, 1]
        return self._normalise(rows).permute(0, 2, 3, 1).view(x.shape)

    def _normalise(self, x: Tensor) -> Tensor:
        if x.is_meta:  # PyTorch would take its formula apart, most of a trace's time
            return torch.empty_like(x)
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Scales and shifts count as biases: they fold into the weights before them."""
        return Facts(biases=2 * self.weight.numel())


class TokenSimilarity(Leaf):
    """``A = scale Q K^T`` per head, from tokens [T, B, N, D] to [T, B, h, N, N]; no softmax."""

    kind = Kind.SPIKE_PRODUCT

    def __init__(self, num_heads: int, scale: float) -> None:
        super().__init__()
        self.num_heads, self.scale = num_heads, scale

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        """Return counts of common spikes, scaled."""
        return (_heads(q, self.num_heads) @ _heads(k, self.num_heads).mT) * self.scale

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N N D coincidences."""
        N, D = inputs[0].shape[-2:]
        return Facts(macs=N * N * D, attributes={"num_heads": self.num_heads})

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Sums of products of spikes are counts."""
        return Signal.COUNTS


class TokenAggregation(Leaf):
    """``Y = A V`` per head, from [T, B, h, N, N] and tokens [T, B, N, D] to [T, B, N, D]."""

    kind = Kind.SPIKE_PRODUCT

    def forward(self, attn: Tensor, v: Tensor) -> Tensor:
        """Return the sums of V's spikes, weighted by A."""
        return (attn @ _heads(v, attn.shape[2])).transpose(2, 3).flatten(3)  # [T, B, N, D]

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N N D coincidences."""
        N, D = output.shape[-2:]
        return Facts(macs=N * N * D, attributes={"num_heads": int(inputs[0].shape[2])})

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Sums of products of counts and spikes are counts."""
        return Signal.COUNTS


class HeadSum(Leaf):
    """Sum of spikes over the d channels of each head: [T, B, N, D] to [T, B, N, h]."""

    kind = Kind.SPIKE_SUM

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads

    def forward(self, x: Tensor) -> Tensor:
        """Return the counts."""
        out: Tensor = x.unflatten(3, (self.num_heads, -1)).sum(-1)
        return out

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N D additions."""
        N, D = inputs[0].shape[-2:]
        return Facts(macs=N * D, attributes={"num_heads": self.num_heads})

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Sums of spikes are counts."""
        return Signal.COUNTS


class HeadMask(Leaf):
    """Keep the tokens whose head spikes: mask [T, B, N, h], tokens [T, B, N, D]."""

    kind = Kind.MASK

    def forward(self, mask: Tensor, x: Tensor) -> Tensor:
        """Return [T, B, N, D]."""
        heads = x.unflatten(3, (mask.shape[3], -1))  # [T, B, N, h, d]
        out: Tensor = (heads * mask.unsqueeze(-1)).flatten(3)
        return out

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count N D conjunctions."""
        N, D = output.shape[-2:]
        return Facts(macs=N * D, attributes={"num_heads": int(inputs[0].shape[-1])})

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """A masked signal stays what it was."""
        return signals[1]


class Add(Leaf):
    """Sum of two equal shapes: event streams merge, or a branch joins the membrane."""

    kind = Kind.ADD

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """Return the sum."""
        return x + branch

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Spikes add up to counts; a membrane stays one."""
        return _joined(signals, of_spikes=Signal.COUNTS)


class Concat(Leaf):
    """Concatenate maps [T, B, C, H, W] on their channels."""

    kind = Kind.CONCAT

    def forward(self, *maps: Tensor) -> Tensor:
        """Return [T, B, sum of C, H, W]."""
        return torch.cat(maps, dim=2)

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """The widest of the signals."""
        return _joined(signals, of_spikes=Signal.SPIKES)


class MaxPool(Leaf):
    """3x3 max pooling of stride 2 and padding 1 of a map [T, B, C, H, W]."""

    kind = Kind.MAX_POOL

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, C, ceil(H / 2), ceil(W / 2)]."""
        y = F.max_pool2d(x.flatten(0, 1), 3, stride=2, padding=1)
        out: Tensor = y.unflatten(0, x.shape[:2])
        return out

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """No arithmetic that the papers count."""
        return Facts(attributes={"kernel_size": 3, "stride": 2, "padding": 1})

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """The greatest of some spikes is a spike."""
        return signals[0]


class SumPool(Leaf):
    """2x2 sums of a map [T, B, C, H, W], H and W even."""

    kind = Kind.SUM_POOL

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, C, H / 2, W / 2]."""
        y = 4.0 * F.avg_pool2d(x.flatten(0, 1), 2)
        out: Tensor = y.unflatten(0, x.shape[:2])
        return out

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """No arithmetic that the papers count: events go to a coarser address."""
        return Facts(attributes={"kernel_size": 2, "stride": 2, "padding": 0})

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Sums of spikes are counts."""
        return _joined(signals, of_spikes=Signal.COUNTS)


class MeanOverTokens(Leaf):
    """Mean of tokens [T, B, N, D] to [T, B, D]; the divisor folds into the next weights."""

    kind = Kind.MEAN

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, D]."""
        return x.mean(2)

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """A sum of spikes but for its divisor."""
        return _joined(signals, of_spikes=Signal.COUNTS)


class MeanOverSteps(Leaf):
    """Mean over time [T, B, D] to [B, D]; what follows runs once per inference."""

    kind = Kind.MEAN

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, D]."""
        return x.mean(0)

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Time ends here."""
        return Facts(ends_time=True)

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """A sum of spikes but for its divisor."""
        return _joined(signals, of_spikes=Signal.COUNTS)


def _heads(x: Tensor, num_heads: int) -> Tensor:
    heads: Tensor = x.unflatten(3, (num_heads, -1)).transpose(2, 3)  # [T, B, h, N, d]
    return heads


def _joined(signals: Sequence[Signal], *, of_spikes: Signal) -> Signal:
    for widest in (Signal.MEMBRANE, Signal.ANALOG, Signal.COUNTS):
        if widest in signals:
            return widest
    return of_spikes
