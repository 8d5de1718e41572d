"""Spike-driven self-attention (SDSA), Yao 2023 (Spike-Driven Transformer), eq. 8: masks and sums.

Axes: T steps, B batch, N tokens on a grid (H, W), D width, h heads, d = D / h.
    Q, K, V = S(BN(W x));  g = S_{theta / 2}(sum over tokens of K V);  out = BN(W_o (g Q))
all products element by element. The paper names Q what the code names V. q, k and v have no bias,
the projection has; convolutions from a normal of 0.02. ``event_pooling``, for event cameras,
takes 3x3 maxima: of K and V over the map, of K V and g Q over the plane of tokens and channels of
each head. Only there do heads change anything.
"""

from torch import Tensor, nn

from spikenas.nn import initialisation
from spikenas.nn.layout import to_map, to_tokens
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import (
    BatchNorm,
    ChannelMask,
    Coincidence,
    HeadPlanePool,
    Linear,
    MaxPool,
    TokenSum,
)


class SpikeDrivenAttention(Mixer):
    """Where K and V coincide often enough, a channel of Q goes on."""

    mlp_bias = True

    def __init__(
        self,
        *,
        embed_dim: int,
        num_heads: int,
        grid: tuple[int, int],
        neuron: NeuronFactory,
        attention_threshold: float = 0.5,
        event_pooling: bool = False,
    ) -> None:
        super().__init__()
        self.q = Linear(embed_dim, embed_dim, bias=False)
        self.q_bn, self.q_neuron = BatchNorm(embed_dim), neuron()
        self.k = Linear(embed_dim, embed_dim, bias=False)
        self.k_bn, self.k_neuron = BatchNorm(embed_dim), neuron()
        self.v = Linear(embed_dim, embed_dim, bias=False)
        self.v_bn, self.v_neuron = BatchNorm(embed_dim), neuron()
        self.coincidence, self.sum = Coincidence(), TokenSum()
        self.attention_neuron = neuron(attention_threshold)
        self.mask = ChannelMask()
        self.projection = Linear(embed_dim, embed_dim)
        self.projection_bn = BatchNorm(embed_dim)
        self.k_pool = _MapPool(grid) if event_pooling else nn.Identity()
        self.v_pool = _MapPool(grid) if event_pooling else nn.Identity()
        self.kv_pool = HeadPlanePool(num_heads) if event_pooling else nn.Identity()
        self.out_pool = HeadPlanePool(num_heads) if event_pooling else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return currents [T, B, N, D]."""
        q = self.q_neuron(self.q_bn(self.q(x)))  # [T, B, N, D], spikes
        k = self.k_pool(self.k_neuron(self.k_bn(self.k(x))))
        v = self.v_pool(self.v_neuron(self.v_bn(self.v(x))))
        kv = self.kv_pool(self.coincidence(k, v))
        gate = self.attention_neuron(self.sum(kv))  # [T, B, D], spikes
        out: Tensor = self.projection_bn(self.projection(self.out_pool(self.mask(gate, q))))
        return out

    def initialise(self, block: nn.Module) -> None:
        """All maps from a normal of 0.02."""
        initialisation.sdt(block)


class _MapPool(nn.Module):
    """3x3 maxima of stride 1 over the map of the tokens."""

    def __init__(self, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid, self.pool = grid, MaxPool(stride=1)

    def forward(self, x: Tensor) -> Tensor:
        return to_tokens(self.pool(to_map(x, self.grid)))
