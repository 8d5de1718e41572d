"""Spiking patch splitting (SPS), Zhou 2023 (Spikformer), eq. 3-5.

Axes: T steps, B batch, C channels, H, W map.
Four times conv3x3 -> BN -> S to widths D/8, D/4, D/2, D, then z + S(BN(conv3x3(z))) as the only
position embedding: values 0, 1, 2. A 3x3 max pool of stride 2 follows the neuron of the last
log2(patch_size) stages: two for CIFAR (32 -> 8), four for ImageNet and events (224 -> 14).
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from spikenas.nn.layers import ConvNorm
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import Add, MaxPool


class SpikingPatchSplitting(nn.Module):
    """From an image [T, B, C, H, W] to counts of spikes [T, B, D, H / P, W / P]."""

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
        neurons = [neuron() for _ in range(4)]
        self.stages = split_patches(in_channels, embed_dim, patch_size, neurons)
        self.position = ConvNorm(embed_dim, embed_dim, neuron=neuron())
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, D, H / P, W / P]."""
        z = self.stages(x)
        return self.add(z, self.position(z))


def split_patches(
    in_channels: int, embed_dim: int, patch_size: int, neurons: Sequence[nn.Module | None]
) -> nn.Sequential:
    """Return the four stages conv3x3 -> BN -> [S], the last log2(patch_size) with a max pool."""
    widths = (in_channels, embed_dim // 8, embed_dim // 4, embed_dim // 2, embed_dim)
    first_pooled = 4 - (patch_size.bit_length() - 1)
    stages = nn.Sequential()
    for i, ((before, after), neuron) in enumerate(zip(pairwise(widths), neurons, strict=True)):
        stage = nn.Sequential(ConvNorm(before, after, neuron=neuron))
        if i >= first_pooled:
            stage.append(MaxPool())
        stages.append(stage)
    return stages
