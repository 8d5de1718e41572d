"""What both sides are given to do: one training step on one batch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from peers import reset
from spikenas.architecture import Architecture


def batch(architecture: Architecture, size: int) -> tuple[Tensor, Tensor]:
    """Return noise in place of normalised images, and labels; the same at every call."""
    generator = torch.Generator().manual_seed(1)
    spec = architecture.input
    images = torch.randn(size, spec.channels, spec.height, spec.width, generator=generator)
    return images, torch.randint(architecture.num_classes, (size,), generator=generator)


def training_step(network: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], None]:
    """Return a step with an optimizer of its own; fused AdamW for both, as our recipes have."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.06, fused=True)
    network.train()

    def step() -> None:
        loss = cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        reset(network)

    return step
