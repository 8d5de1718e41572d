"""The patch splitting of SDT (Yao 2023, Spike-Driven Transformer): SPS that ends in a membrane.

Axes: T steps, B batch, C channels, H, W map.
Three times conv3x3 -> BN -> S to widths D/8, D/4, D/2, then conv3x3 -> BN to D gives u without a
neuron; out = u + BN(conv3x3(S(u))), the position embedding. A 3x3 max pool of stride 2 ends the
last log2(patch_size) of the four stages: two for CIFAR, three for DVS128 Gesture, four for
ImageNet; in the fourth it takes maxima of the membrane. Convolutions from a normal of 0.02.
"""

from torch import Tensor, nn

from spikenas.nn import initialisation
from spikenas.nn.layers import ConvNorm
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import Add
from spikenas.nn.stems.sps import split_patches


class MembranePatchSplitting(nn.Module):
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
        neurons = [*(neuron() for _ in range(3)), None]
        self.stages = split_patches(in_channels, embed_dim, patch_size, neurons)
        self.position_neuron = neuron()
        self.position = ConvNorm(embed_dim, embed_dim)
        self.add = Add()
        initialisation.sdt(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, D, H / P, W / P]."""
        u = self.stages(x)
        return self.add(u, self.position(self.position_neuron(u)))
