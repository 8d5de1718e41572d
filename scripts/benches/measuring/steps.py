"""What both sides are given to do: one training step on one batch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from peers import reset
from spikenas.architecture import Architecture
from spikenas.data import DataSpec, load


def batch(architecture: Architecture, size: int, data: str | None) -> tuple[Tensor, Tensor]:
    """Return images and labels, the same at every call.

    They are the first of CIFAR-10 in the folder ``data``, else noise: it makes fewer neurons fire
    than images do, and products of events are the faster the fewer there are.
    """
    if data is not None:
        splits = load(DataSpec(name="cifar10", root=data, image_size=architecture.input.height))
        return next(splits.train.batches(size))
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
