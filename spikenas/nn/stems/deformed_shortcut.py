"""SPEDS, the first patch embedding of Zhou 2024 (QKFormer) and MSViT, with a shortcut.

Axes: T steps, B batch, C channels, H, W map, E embed_dim of the first stage, P patch_size.
A layer is conv3x3 -> BN -> [3x3 max pool of stride 2] -> S, the pool before the neuron; the
shortcut is conv1x1 of the branch's stride -> BN -> S of an inner map f. Values are 0, 1, 2.
    P = 1 (CIFAR)     f = layer(E/2);                              y = layer(E) + shortcut(f)
    P = 4 (ImageNet)  f = pooled layer(E/2);        y = layer(E) o pooled layer(E) + shortcut(f)
    P = 8 (DVS)       f = pooled layer(E/4) o layer(E/8);
                      y = pooled layer(E) o pooled layer(E/2) + shortcut(f)
P = 2 is our addition for small images: P = 1 with a pooled layer.
No biases; PyTorch's default initialisation.
"""

from torch import Tensor, nn

from spikenas.nn.layers import ConvNorm
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import Add, MaxPool

# For each layer: E divided by its width, and whether it pools.
_TRUNK = {1: ((2, False),), 2: ((2, False),), 4: ((2, True),), 8: ((8, False), (4, True))}
_BRANCH = {
    1: ((1, False),),
    2: ((1, True),),
    4: ((1, True), (1, False)),
    8: ((2, True), (1, True)),
}


class DeformedShortcutStem(nn.Module):
    """From an image [T, B, C, H, W] to counts of spikes [T, B, E, H / P, W / P]."""

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

        def layers(width: int, plan: tuple[tuple[int, bool], ...]) -> nn.Sequential:
            made = nn.Sequential()
            for divisor, has_pool in plan:
                made.append(layer(width, embed_dim // divisor, neuron, has_pool=has_pool))
                width = embed_dim // divisor
            return made

        inner = embed_dim // _TRUNK[patch_size][-1][0]
        stride = 2 ** sum(has_pool for _, has_pool in _BRANCH[patch_size])
        self.trunk = layers(in_channels, _TRUNK[patch_size])
        self.branch = layers(inner, _BRANCH[patch_size])
        self.shortcut = shortcut(inner, embed_dim, neuron, stride=stride)
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, E, H / P, W / P]."""
        f = self.trunk(x)
        return self.add(self.branch(f), self.shortcut(f))


def layer(
    in_channels: int, out_channels: int, neuron: NeuronFactory, *, has_pool: bool
) -> nn.Sequential:
    """Return conv3x3 -> BN -> [max pool] -> S."""
    if has_pool:
        return nn.Sequential(ConvNorm(in_channels, out_channels), MaxPool(), neuron())
    return nn.Sequential(ConvNorm(in_channels, out_channels, neuron=neuron()))


def shortcut(
    in_channels: int, out_channels: int, neuron: NeuronFactory, *, stride: int
) -> ConvNorm:
    """Return conv1x1 of ``stride`` -> BN -> S."""
    return ConvNorm(in_channels, out_channels, 1, stride=stride, neuron=neuron())
