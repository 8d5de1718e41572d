"""IPSPS, the stem of Deng 2024 (STMixer): convolutions and a side path from the raw image.

Axes: T steps, B batch, C channels, H, W map, P patch_size.
Main path: conv3x3 to widths D/8, D/4, D/2, D, 7D/8, each with BN and, except the fifth, a neuron;
the last log2 P have stride 2. Side path: conv of kernel and stride P to D/8, BN, no neuron.
Output: [side, main] on the channels, a real-valued membrane. No pooling and no bias.
"""

from itertools import pairwise

from torch import Tensor, nn

from spikenas.nn import initialisation
from spikenas.nn.layers import ConvNorm
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import Concat


class ConvSideStem(nn.Module):
    """From an image [T, B, C, H, W] to a membrane [T, B, D, H / P, W / P]."""

    def __init__(
        self,
        *,
        in_channels: int,
        embed_dim: int,
        patch_size: int,
        residual: str,
        neuron: NeuronFactory,
    ) -> None:
        super().__init__()
        D = embed_dim
        widths = (in_channels, D // 8, D // 4, D // 2, D, D - D // 8)
        first_strided = 5 - (patch_size.bit_length() - 1)
        self.main = nn.Sequential()
        for i, (before, after) in enumerate(pairwise(widths)):
            stride = 2 if i >= first_strided else 1
            self.main.append(
                ConvNorm(before, after, stride=stride, neuron=neuron() if i < 4 else None)
            )
        self.side = ConvNorm(in_channels, D // 8, patch_size, stride=patch_size, padding=0)
        self.concat = Concat()
        initialisation.stmixer(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, D, H / P, W / P]."""
        return self.concat(self.side(x), self.main(x))
