"""The samples on which an exported network is compared, and the comparison.

Another runtime sums in another order. A neuron whose membrane is within rounding of its threshold
may then decide differently, and the logits of that sample differ by more than rounding. So a format
is compared on several samples and must agree on most of them; a wrong graph agrees on none.
"""

import torch
from torch import Tensor, nn

from spikenas.architecture import Architecture
from spikenas.exceptions import ArtefactError, told_apart
from spikenas.nn.network import SpikingTransformer
from spikenas.nn.prediction import FromPixels, prepared

TOLERANCE = 1e-5
NUM_SAMPLES = 5


def sample_images(architecture: Architecture, count: int = NUM_SAMPLES) -> Tensor:
    """Return images [B, C, H, W], or events [B, T, C, H, W], from a normal distribution."""
    size = architecture.input
    steps = (architecture.num_steps,) if size.kind == "events" else ()
    shape = (count, *steps, size.channels, size.height, size.width)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def graph_of(network: SpikingTransformer, *, pixels: bool) -> nn.Module:
    """Return the network; with ``pixels``, the normalisation followed by the network."""
    if not pixels:
        return network
    assert network.preprocessing is not None  # checked by `render`
    return FromPixels(network, network.preprocessing)


def samples(network: SpikingTransformer, *, pixels: bool) -> tuple[Tensor, Tensor]:
    """Return the inputs of a graph, and the logits [B, classes] that it must return.

    With ``pixels`` the inputs are images in 0..1, and the logits are those that `predict` computes
    for the same images in uint8.
    """
    images = sample_images(network.architecture)
    with torch.no_grad():
        if not pixels:
            return images, network(images)
        generator = torch.Generator().manual_seed(0)
        uint8 = torch.randint(0, 256, images.shape, dtype=torch.uint8, generator=generator)
        return uint8 / 255, network(prepared(uint8, network.preprocessing))


def compare(found: Tensor, expected: Tensor, what: str) -> None:
    """Raise ArtefactError unless the logits [B, classes] of most samples agree to 1e-5."""
    if found.shape != expected.shape:
        raise ArtefactError(f"{what} gives logits {[*found.shape]} for {[*expected.shape]}")
    differences = (found - expected).abs().amax(1)  # [B]
    agreeing = int((differences <= TOLERANCE).sum())
    if 2 * agreeing <= len(differences):
        raise ArtefactError(
            f"{what} agrees to {TOLERANCE:g} on {agreeing} of {len(differences)} samples, the "
            f"largest difference of logits is {told_apart(float(differences.max()), TOLERANCE)}; "
            "nothing was exported"
        )
