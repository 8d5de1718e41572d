"""Q-K token attention, Zhou 2024 (QKFormer), eq. 4-5: linear in the number of tokens.

Axes: T steps, B batch, N tokens, D width, h heads.
    Q, K = S(BN(W x));  a = S_{theta / 2}(sum over each head's channels of Q);  out = BN(W_o (a K))
No V and no scale. q and k have no bias, the projection has; PyTorch's default initialisation.
"""

from torch import Tensor

from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import BatchNorm, HeadMask, HeadSum, Linear


class QKTokenAttention(Mixer):
    """Each head of Q decides which tokens of K go on."""

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
        self.q = Linear(embed_dim, embed_dim, bias=False)
        self.q_bn, self.q_neuron = BatchNorm(embed_dim), neuron()
        self.k = Linear(embed_dim, embed_dim, bias=False)
        self.k_bn, self.k_neuron = BatchNorm(embed_dim), neuron()
        self.sum = HeadSum(num_heads)
        self.attention_neuron = neuron(attention_threshold)
        self.mask = HeadMask()
        self.projection = Linear(embed_dim, embed_dim)
        self.projection_bn = BatchNorm(embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return currents [T, B, N, D]."""
        q = self.q_neuron(self.q_bn(self.q(x)))  # [T, B, N, D], spikes
        k = self.k_neuron(self.k_bn(self.k(x)))
        attn = self.attention_neuron(self.sum(q))  # [T, B, N, h], spikes
        out: Tensor = self.projection_bn(self.projection(self.mask(attn, k)))
        return out
