"""I-SPS, the stem of STAS (arXiv 2508.14138): one pass of convolutions serves all time steps.

Axes: T steps, B batch, C channels, H, W map.
    x_t = SPS(image at one step)  for every t
so that tokens have equal inputs at each step, and later steps refine earlier ones, as halting
requires. The paper gives a figure and no formula; docs/explanation/halting.md explains why we read
it as one pass at T = 1. The inner stem is `sps`, or `sps_membrane` with a membrane residual.
"""

from torch import Tensor, nn

from spikenas.nn.layout import hold
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.stems.sps import SpikingPatchSplitting
from spikenas.nn.stems.sps_membrane import MembranePatchSplitting


class IntegratedPatchSplitting(nn.Module):
    """From an image [T, B, C, H, W] to the same [B, D, H / P, W / P] at all T steps."""

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
        host = MembranePatchSplitting if residual == "membrane" else SpikingPatchSplitting
        self.host = host(
            in_channels=in_channels,
            embed_dim=embed_dim,
            patch_size=patch_size,
            residual=residual,
            neuron=neuron,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, D, H / P, W / P]."""
        once: Tensor = self.host(x[:1])  # [1, B, D, H / P, W / P]
        return hold(once, x.shape[0])
