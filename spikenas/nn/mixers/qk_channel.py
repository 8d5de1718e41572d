"""Q-K channel attention, Zhou 2024 (QKFormer), eq. 6: linear in the number of tokens.

Axes: T steps, B batch, N tokens, D width.
    Q, K = S(BN(W x));  a = S_{theta / 2}(sum over tokens of Q);  out = BN(W_o (a K))
Each channel's a is one spike for all its tokens, so heads change nothing. The released code lacks
it; the threshold of its attention neuron and its biases are taken from token attention.
"""

from torch import Tensor

from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import BatchNorm, ChannelMask, Linear, TokenSum


class QKChannelAttention(Mixer):
    """Q decides which channels of K go on."""

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
        self.q = Linear(embed_dim, embed_dim, bias=False)
        self.q_bn, self.q_neuron = BatchNorm(embed_dim), neuron()
        self.k = Linear(embed_dim, embed_dim, bias=False)
        self.k_bn, self.k_neuron = BatchNorm(embed_dim), neuron()
        self.sum = TokenSum()
        self.attention_neuron = neuron(attention_threshold)
        self.mask = ChannelMask()
        self.projection = Linear(embed_dim, embed_dim)
        self.projection_bn = BatchNorm(embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return currents [T, B, N, D]."""
        q = self.q_neuron(self.q_bn(self.q(x)))  # [T, B, N, D], spikes
        k = self.k_neuron(self.k_bn(self.k(x)))
        attn = self.attention_neuron(self.sum(q))  # [T, B, D], spikes
        out: Tensor = self.projection_bn(self.projection(self.mask(attn, k)))
        return out
