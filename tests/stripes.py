"""Data of one's own, made by hand: noisy images of stripes that run along rows or columns."""

import torch
from torch import Tensor

CLASSES = ("rows", "columns")


def stripes(number: int, *, seed: int = 0, steps: int | None = None) -> tuple[Tensor, Tensor]:
    """Return images [N, 1, 8, 8], or frames of events [N, T, 2, 8, 8], and labels [N]."""
    random = torch.Generator().manual_seed(seed)
    shape = (number, 1, 8, 8) if steps is None else (number, steps, 2, 8, 8)
    images = torch.randint(0, 100, shape, generator=random, dtype=torch.uint8)
    labels = torch.arange(number) % 2
    images[labels == 0, ..., ::2, :] += 100
    images[labels == 1, ..., ::2] += 100
    return images, labels
