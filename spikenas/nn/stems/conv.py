"""A stem of strided convolutions, after Springenberg 2015: no pooling and no sum.

Axes: T steps, B batch, C channels, H, W map, P patch_size.
One conv3x3 -> BN -> S of stride 2 for each halving (one of stride 1 where P = 1), the width
doubling up to D. With a membrane residual the last neuron is left out: blocks begin with one.
"""

from itertools import pairwise

from torch import Tensor, nn

from spikenas.nn.layers import ConvNorm
from spikenas.nn.neurons.neuron import NeuronFactory


class ConvStem(nn.Module):
    """From an image [T, B, C, H, W] to [T, B, D, H / P, W / P], spikes or a membrane."""

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
        count = max(patch_size.bit_length() - 1, 1)
        widths = [in_channels] + [embed_dim >> (count - 1 - i) for i in range(count)]
        self.layers = nn.Sequential()
        for i, (before, after) in enumerate(pairwise(widths)):
            fires = i < count - 1 or residual != "membrane"
            self.layers.append(
                ConvNorm(
                    before,
                    after,
                    stride=1 if patch_size == 1 else 2,
                    neuron=neuron() if fires else None,
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, D, H / P, W / P]."""
        return self.layers(x)
