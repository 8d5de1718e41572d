"""A plain spiking convolution as token mixer, after Springenberg 2015: out = BN(conv3x3(x)).

Axes: T steps, B batch, N tokens on a grid (H, W), D width. No bias; every chip with convolutions
runs it.
"""

from torch import Tensor

from spikenas.nn.layers import ConvNorm
from spikenas.nn.layout import to_map, to_tokens
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.neurons.neuron import NeuronFactory


class ConvMixer(Mixer):
    """Tokens mix with their eight neighbours."""

    def __init__(self, *, embed_dim: int, grid: tuple[int, int], neuron: NeuronFactory) -> None:
        super().__init__()
        self.grid = grid
        self.conv = ConvNorm(embed_dim, embed_dim)

    def end(self) -> ConvNorm:
        """Return the convolution."""
        return self.conv

    def forward(self, x: Tensor) -> Tensor:
        """Return currents [T, B, N, D]."""
        return to_tokens(self.conv(to_map(x, self.grid)))
