"""Multi-scale token attention, MSViT (IJCAI 2025): Q-K token attention over neighbourhoods.

Axes: T steps, B batch, N tokens in raster order, D width, h heads.
    P_s = S(BN(conv_s(x))) for each kernel size s;  K = S(BN(W x))
    a = S(sum over s of sum over each head's channels of P_s);  out = BN(W_o (a K))
``scales`` are the kernel sizes, published [1, 3]: 1 is Q of QKFormer. Convolutions run along the
flattened tokens, as the released code does, so they wrap from row to row. Its attention neuron
has threshold 1, because the released builder ignores its argument 0.5. ``elementwise`` is the
CIFAR-100 file (there with scales [1, 1]): the last scale is not summed over its head, so a has one
value per channel. Only the projection has a bias; PyTorch's default initialisation.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from spikenas.nn.layers import ConvOverTokensNorm, LinearNorm
from spikenas.nn.layout import repeat_heads
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import Add, HeadMask, HeadSum


class MultiScaleAttention(Mixer):
    """The heads of several scales together decide which tokens of K are kept."""

    mlp_bias = True

    def __init__(
        self,
        *,
        embed_dim: int,
        num_heads: int,
        grid: tuple[int, int],
        neuron: NeuronFactory,
        scales: Sequence[int] = (1, 3),
        elementwise: bool = False,
        attention_threshold: float = 1.0,
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList(_scale(embed_dim, size, neuron()) for size in scales)
        summed = len(scales) - elementwise
        self.sums = nn.ModuleList(HeadSum(num_heads) for _ in range(summed))
        self.adds = nn.ModuleList(Add() for _ in scales[1:])
        self.k = LinearNorm(embed_dim, embed_dim, bias=False, neuron=neuron())
        self.attention_neuron = neuron(attention_threshold)
        self.mask = HeadMask()
        self.projection = LinearNorm(embed_dim, embed_dim, bias=True)
        self._head_dim = embed_dim // num_heads if elementwise else 1

    def end(self) -> LinearNorm:
        """Return the projection."""
        return self.projection

    def forward(self, x: Tensor) -> Tensor:
        """Return currents [T, B, N, D]."""
        spikes = [scale(x) for scale in self.scales]  # each [T, B, N, D]
        votes = [total(s) for total, s in zip(self.sums, spikes, strict=False)]  # [T, B, N, h]
        if len(votes) < len(spikes):
            votes = [repeat_heads(vote, self._head_dim) for vote in votes] + [spikes[-1]]
        attn = votes[0]
        for add, vote in zip(self.adds, votes[1:], strict=True):
            attn = add(attn, vote)
        k = self.k(x)  # [T, B, N, D], spikes
        attn = self.attention_neuron(attn)  # [T, B, N, h], spikes
        return self.projection(self.mask(attn, k))


def _scale(embed_dim: int, size: int, neuron: nn.Module) -> nn.Module:
    """Return ``S(BN(conv_s(x)))``, a linear map if the size is 1."""
    if size == 1:
        return LinearNorm(embed_dim, embed_dim, bias=False, neuron=neuron)
    return ConvOverTokensNorm(embed_dim, embed_dim, size, neuron=neuron)
