"""Split images so that every part has its share of every class."""

import torch
from torch import Tensor


def stratified_order(labels: Tensor, seed: int) -> Tensor:
    """Return a seeded permutation of the rows whose every prefix is stratified.

    The k-th of n members of a class lies at (k + u) / n, u uniform in 0..1; sorted by that, any
    prefix has each class in proportion, to within one member. One order then serves the
    validation part, the training part, and subsets of it, which grow without exchanging images.
    """
    generator = torch.Generator().manual_seed(seed)
    place = torch.empty(len(labels), dtype=torch.float64)
    for label in torch.unique(labels):
        members = (labels == label).nonzero().flatten()
        n = len(members)
        shuffled = members[torch.randperm(n, generator=generator)]
        offset = torch.rand(n, generator=generator, dtype=torch.float64)
        place[shuffled] = (torch.arange(n) + offset) / n
    return place.argsort()
