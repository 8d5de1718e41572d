"""Spiking self-attention (SSA), Zhou 2023, eq. 6-8: softmax-free attention on spikes.

Axes: T steps, B batch, N tokens, D width, h heads.
    Q, K, V = S(BN(W x));  A = s Q K^T;  Y = S_{theta / 2}(A V);  out = BN(W_o Y)
The scale s is fixed, 0.125, not 1 / sqrt d. The attention neuron fires at half the threshold
(``attention_threshold``, in the released code only). ``qkv_bias`` true is the CIFAR code (linear
layers, normal of 0.02), false the ImageNet and event code (1x1 convolutions, PyTorch's default).
"""

from torch import Tensor, nn

from spikenas.nn import initialisation
from spikenas.nn.active_tokens import ActiveTokens
from spikenas.nn.layers import LinearNorm, SpikeAttention
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.neurons.neuron import NeuronFactory


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
        self.q = LinearNorm(embed_dim, embed_dim, bias=qkv_bias, neuron=neuron())
        self.k = LinearNorm(embed_dim, embed_dim, bias=qkv_bias, neuron=neuron())
        self.v = LinearNorm(embed_dim, embed_dim, bias=qkv_bias, neuron=neuron())
        self.attention = SpikeAttention(num_heads, scale)
        self.attention_neuron = neuron(attention_threshold)
        self.projection = LinearNorm(embed_dim, embed_dim, bias=True)
        self._is_linear = qkv_bias

    def end(self) -> LinearNorm:
        """Return the projection."""
        return self.projection

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return currents [T, B, N, D]."""
        q = self.q(x, active=active)  # [T, B, N, D], spikes
        k = self.k(x, active=active)
        v = self.v(x, active=active)
        y = self.attention(q, k, v, active=active)  # [T, B, N, D], scaled counts of common spikes
        return self.projection(self.attention_neuron(y, active=active), active=active)

    def initialise(self, block: nn.Module) -> None:
        """As in the released code of this variant."""
        (initialisation.spikformer if self._is_linear else initialisation.default)(block)
