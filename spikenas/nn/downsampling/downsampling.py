"""Base class: a convolution with its neuron, which comes first in a membrane stream.

Axes: T steps, B batch, C channels, H, W map.
"""

from torch import Tensor, nn

from spikenas.nn.layers import ConvNorm
from spikenas.nn.neurons.neuron import NeuronFactory


class Downsampling(nn.Module):
    """conv3x3 -> BN -> S -> pool; in a membrane stream S -> conv3x3 -> BN -> pool."""

    stride = 1
    pool: type[nn.Module] | None = None

    def __init__(
        self, *, in_channels: int, embed_dim: int, residual: str, neuron: NeuronFactory
    ) -> None:
        super().__init__()
        is_membrane = residual == "membrane"
        conv = ConvNorm(
            in_channels, embed_dim, stride=self.stride, neuron=None if is_membrane else neuron()
        )
        self.layers = nn.Sequential(neuron(), conv) if is_membrane else nn.Sequential(conv)
        if self.pool:
            self.layers.append(self.pool())

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, D, ceil(H / 2), ceil(W / 2)]."""
        return self.layers(x)
