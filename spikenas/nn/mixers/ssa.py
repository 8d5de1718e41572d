"""Spiking self-attention (SSA), Zhou 2023, eq. 6-8: softmax-free attention on spikes.

Axes: T steps, B batch, N tokens, D width, h heads.
    Q, K, V = S(BN(W x));  A = s Q K^T;  Y = S_{theta / 2}(A V);  out = BN(W_o Y)
The scale s is fixed, 0.125, not 1 / sqrt d. The attention neuron fires at half the threshold
(``attention_threshold``, in the released code only). ``qkv_bias`` true is the CIFAR code (linear
layers, normal of 0.02), false the ImageNet and event code (1x1 convolutions, PyTorch's default).
"""

from torch import Tensor, nn

from spikenas.nn import initialisation
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import BatchNorm, Linear, TokenAggregation, TokenSimilarity


class SpikingSelfAttention(Mixer):
    """Tokens attend where they spike together."""

    mlp_bias = True

    def __init__(
        self,
        *,
        embed_dim: int,
        num_heads: int,
        grid: tuple[int, int],
        neuron: NeuronFactory,
        scale: float = 0.125,
        qkv_bias: bool = True,
        attention_threshold: float = 0.5,
    ) -> None:
        super().__init__()
        self.q = Linear(embed_dim, embed_dim, bias=qkv_bias)
        self.q_bn, self.q_neuron = BatchNorm(embed_dim), neuron()
        self.k = Linear(embed_dim, embed_dim, bias=qkv_bias)
        self.k_bn, self.k_neuron = BatchNorm(embed_dim), neuron()
        self.v = Linear(embed_dim, embed_dim, bias=qkv_bias)
        self.v_bn, self.v_neuron = BatchNorm(embed_dim), neuron()
        self.similarity = TokenSimilarity(num_heads, scale)
        self.aggregation = TokenAggregation()
        self.attention_neuron = neuron(attention_threshold)
        self.projection = Linear(embed_dim, embed_dim)
        self.projection_bn = BatchNorm(embed_dim)
        self._is_linear = qkv_bias

    def forward(self, x: Tensor) -> Tensor:
        """Return currents [T, B, N, D]."""
        q = self.q_neuron(self.q_bn(self.q(x)))  # [T, B, N, D], spikes
        k = self.k_neuron(self.k_bn(self.k(x)))
        v = self.v_neuron(self.v_bn(self.v(x)))
        attn = self.similarity(q, k)  # [T, B, h, N, N], scaled counts of common spikes
        y = self.attention_neuron(self.aggregation(attn, v))  # [T, B, N, D], spikes
        out: Tensor = self.projection_bn(self.projection(y))
        return out

    def initialise(self, block: nn.Module) -> None:
        """As the file of the released code that this variant comes from."""
        (initialisation.spikformer if self._is_linear else initialisation.default)(block)
