"""Q-K token attention, Zhou 2024 (QKFormer), eq. 4-5: linear in the number of tokens.

Axes: T steps, B batch, N tokens, D width, h heads.
    Q, K = S(BN(W x));  a = S_{theta / 2}(sum over each head's channels of Q);  out = BN(W_o (a K))
No V and no scale. q and k have no bias, the projection has; PyTorch's default initialisation.
"""

from torch import Tensor

from spikenas.nn.active_tokens import ActiveTokens
from spikenas.nn.layers import LinearNorm
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import HeadMask, HeadSum


class QKTokenAttention(Mixer):
    """Each head of Q decides which tokens of K are kept."""

    mlp_bias = True

    def __init__(
        self,
        *,
        embed_dim: int,
        num_heads: int,
        grid: tuple[int, int],
        neuron: NeuronFactory,
        attention_threshold: float = 0.5,
    ) -> None:
        super().__init__()
        self.q = LinearNorm(embed_dim, embed_dim, bias=False, neuron=neuron())
        self.k = LinearNorm(embed_dim, embed_dim, bias=False, neuron=neuron())
        self.sum = HeadSum(num_heads)
        self.attention_neuron = neuron(attention_threshold)
        self.mask = HeadMask()
        self.projection = LinearNorm(embed_dim, embed_dim, bias=True)

    def end(self) -> LinearNorm:
        """Return the projection."""
        return self.projection

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return currents [T, B, N, D]."""
        q, k = self.q(x, active=active), self.k(x, active=active)  # [T, B, N, D], spikes
        attn = self.attention_neuron(self.sum(q), active=active)  # [T, B, N, h], spikes
        return self.projection(self.mask(attn, k), active=active)
