"""Spike-driven self-attention (SDSA), Yao 2023 (Spike-Driven Transformer), eq. 8: masks and sums.

Axes: T steps, B batch, N tokens on a grid (H, W), D width, h heads, d = D / h.
    Q, K, V = S(BN(W x));  g = S_{theta / 2}(sum over tokens of K V);  out = BN(W_o (g Q))
with elementwise products. Q in the paper is V in the code. q, k and v have no bias, the projection
has; convolutions from a normal of 0.02. ``event_pooling``, for event cameras, takes 3x3 maxima: of
K and V over the map, of K V and g Q over the plane of tokens and channels of each head. Heads make
a difference only there.
"""

from torch import Tensor, nn

from spikenas.nn import initialisation
from spikenas.nn.active_tokens import ActiveTokens
from spikenas.nn.layers import LinearNorm
from spikenas.nn.layout import to_map, to_tokens
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import ChannelMask, Coincidence, HeadPlanePool, MaxPool, TokenSum


class SpikeDrivenAttention(Mixer):
    """A channel of Q is kept if K and V coincide often enough in it."""

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
        self.q = LinearNorm(embed_dim, embed_dim, bias=False, neuron=neuron())
        self.k = LinearNorm(embed_dim, embed_dim, bias=False, neuron=neuron())
        self.v = LinearNorm(embed_dim, embed_dim, bias=False, neuron=neuron())
        self.coincidence, self.sum = Coincidence(), TokenSum()
        self.attention_neuron = neuron(attention_threshold)
        self.mask = ChannelMask()
        self.projection = LinearNorm(embed_dim, embed_dim, bias=True)
        self.k_pool = _MapPool(grid) if event_pooling else nn.Identity()
        self.v_pool = _MapPool(grid) if event_pooling else nn.Identity()
        self.kv_pool = HeadPlanePool(num_heads) if event_pooling else nn.Identity()
        self.out_pool = HeadPlanePool(num_heads) if event_pooling else nn.Identity()

    def end(self) -> LinearNorm:
        """Return the projection."""
        return self.projection

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return currents [T, B, N, D]."""
        q = self.q(x, active=active)  # [T, B, N, D], spikes
        k = self.k_pool(self.k(x, active=active))
        v = self.v_pool(self.v(x, active=active))
        kv = self.kv_pool(self.coincidence(k, v))
        gate = self.attention_neuron(self.sum(kv, active=active))  # [T, B, D], spikes
        y = self.out_pool(self.mask(gate, q, active=active))
        return self.projection(y, active=active)

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
