"""Q-K channel attention, Zhou 2024 (QKFormer), eq. 6: linear in the number of tokens.

Axes: T steps, B batch, N tokens, D width.
    Q, K = S(BN(W x));  a = S_{theta / 2}(sum over tokens of Q);  out = BN(W_o (a K))
Each channel has one a for all its tokens, so heads make no difference. The released code lacks this
attention; the threshold of its attention neuron and its biases are those of token attention.
"""

from torch import Tensor

from spikenas.nn.active_tokens import ActiveTokens
from spikenas.nn.layers import LinearNorm
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import ChannelMask, TokenSum


class QKChannelAttention(Mixer):
    """Q decides which channels of K are kept."""

    mlp_bias = True

    def __init__(
        self,
        *,
        embed_dim: int,
        grid: tuple[int, int],
        neuron: NeuronFactory,
        attention_threshold: float = 0.5,
    ) -> None:
        super().__init__()
        self.q = LinearNorm(embed_dim, embed_dim, bias=False, neuron=neuron())
        self.k = LinearNorm(embed_dim, embed_dim, bias=False, neuron=neuron())
        self.sum = TokenSum()
        self.attention_neuron = neuron(attention_threshold)
        self.mask = ChannelMask()
        self.projection = LinearNorm(embed_dim, embed_dim, bias=True)

    def end(self) -> LinearNorm:
        """Return the projection."""
        return self.projection

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return currents [T, B, N, D]."""
        q, k = self.q(x, active=active), self.k(x, active=active)  # [T, B, N, D], spikes
        attn = self.attention_neuron(self.sum(q, active=active))  # [T, B, D], spikes
        return self.projection(self.mask(attn, k, active=active), active=active)
