"""SPEDS between stages, Zhou 2024 (QKFormer), also MSViT: half the map, and a shortcut.

Axes: T steps, B batch, C channels, H, W map, D embed_dim of the next stage.
    CIFAR, DVS  y = pooled layer(D) o layer(D) (x) + S(BN(conv1x1 stride 2 (x)))
    ImageNet    y = layer(D) o pooled layer(D) (x) + the same;  ``early_pool``
A layer is conv3x3 -> BN -> [3x3 max pool of stride 2] -> S. No biases; values are 0, 1, 2.
"""

from torch import Tensor, nn

from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import Add
from spikenas.nn.stems.deformed_shortcut import layer, shortcut


class DeformedShortcutDownsampling(nn.Module):
    """From counts or spikes [T, B, C, H, W] to counts [T, B, D, H / 2, W / 2]."""

    def __init__(
        self,
        *,
        in_channels: int,
        embed_dim: int,
        residual: str,
        neuron: NeuronFactory,
        early_pool: bool = False,
    ) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            layer(in_channels, embed_dim, neuron, has_pool=early_pool),
            layer(embed_dim, embed_dim, neuron, has_pool=not early_pool),
        )
        self.shortcut = shortcut(in_channels, embed_dim, neuron, stride=2)
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, D, ceil(H / 2), ceil(W / 2)]."""
        return self.add(self.branch(x), self.shortcut(x))
