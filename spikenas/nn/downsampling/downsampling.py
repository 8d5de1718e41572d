"""What all downsamplings share: a convolution with its neuron, before it in a membrane stream.

Axes: T steps, B batch, C channels, H, W map.
"""

from torch import Tensor, nn

from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import BatchNorm, Conv


class Downsampling(nn.Module):
    """conv3x3 -> BN -> S -> pool; in a membrane stream S -> conv3x3 -> BN -> pool."""

    stride = 1

    def __init__(
        self, *, in_channels: int, embed_dim: int, residual: str, neuron: NeuronFactory
    ) -> None:
        super().__init__()
        conv = [Conv(in_channels, embed_dim, stride=self.stride), BatchNorm(embed_dim)]
        layers = [neuron(), *conv] if residual == "membrane" else [*conv, neuron()]
        self.layers = nn.Sequential(*layers, *self.pool())

    def pool(self) -> tuple[nn.Module, ...]:
        """Return what follows."""
        return ()

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, D, ceil(H / 2), ceil(W / 2)]."""
        out: Tensor = self.layers(x)
        return out
