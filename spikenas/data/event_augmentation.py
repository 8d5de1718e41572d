"""Random changes of event frames that no image has: SNNAugmentWide and EventDrop.

Both take a batch of counts [B, T, C, H, W] and change every sample on its own, but all its steps
alike, so motion stays motion. Draws come from the generator given, which is of the CPU.
"""

from math import pi

import torch
from torch import Generator, Tensor

_BINS = 31  # magnitudes that SNNAugmentWide draws from
_SHEAR, _SHIFT, _ANGLE = 0.3, 5.0, pi / 6  # largest, in radians, pixels and radians
_CUT_OUT = (0.001, 0.11)  # of the area


def snn_augment_wide(frames: Tensor, generator: Generator) -> Tensor:
    """Change each sample by one of identity, shear in x, shift in x, shift in y, turn, cut-out.

    From NDA (Li 2022) by way of Spikformer and QKFormer, which train on CIFAR10-DVS with it: each
    sixth of the samples has one, of a strength drawn evenly from both sides. The nearest pixel is
    taken and what comes from outside is 0, so counts stay whole numbers.
    """
    B, H, W = len(frames), *frames.shape[-2:]
    kind = torch.randint(6, (B, 1, 1), generator=generator)
    strength = torch.linspace(-1, 1, _BINS)[torch.randint(_BINS, (B, 1, 1), generator=generator)]

    def drawn(which: int, largest: float) -> Tensor:
        return torch.where(kind == which, strength * largest, 0.0)  # [B, 1, 1]

    shear, angle = drawn(1, _SHEAR).tan(), drawn(4, _ANGLE)
    # Where the pixel at (y, x) of the result comes from, counted from the centre.
    y = torch.arange(H)[:, None] - (H - 1) / 2 - drawn(3, _SHIFT).trunc()  # [B, H, 1]
    x = torch.arange(W) - (W - 1) / 2 - drawn(2, _SHIFT).trunc()  # [B, 1, W]
    columns = angle.cos() * x + (angle.sin() + shear) * y + (W - 1) / 2
    rows = angle.cos() * y - angle.sin() * x + (H - 1) / 2
    columns, rows = columns.round().long(), rows.round().long()  # [B, H, W]
    is_kept = (columns >= 0) & (columns < W) & (rows >= 0) & (rows < H)
    low, high = _CUT_OUT
    area = low + (high - low) * torch.rand(B, 1, 1, generator=generator)
    side = (area * H * W).sqrt().round()
    is_kept &= (kind != 5) | ~_box(H, W, side, side, generator)
    index = (rows.clamp(0, H - 1) * W + columns.clamp(0, W - 1)).flatten(1).to(frames.device)
    moved = frames.flatten(3)  # [B, T, C, H * W]
    moved = moved.gather(3, index[:, None, None].expand_as(moved)).view_as(frames)
    return moved * is_kept[:, None, None].to(frames.device)


def event_drop(frames: Tensor, generator: Generator) -> Tensor:
    """Leave out events of each sample: none, of a while, of a rectangle, or here and there.

    EventDrop (Gu 2021): each fourth of the samples has one; the while and the random part are 0.1
    to 0.9 of all, the rectangle's sides 0.05 to 0.25 of the frame's. Frames no longer know when
    an event was, so of a frame that the while covers in part, that part of the events is dropped.
    """
    B, T, _, H, W = frames.shape
    kind = torch.randint(4, (B, 1, 1, 1, 1), generator=generator)
    part = torch.randint(1, 10, (B, 1, 1, 1, 1), generator=generator) / 10
    start = torch.rand(B, 1, 1, 1, 1, generator=generator) * T
    k = torch.arange(T).view(T, 1, 1, 1)
    covered = ((start + part * T).clamp(max=k + 1) - start.clamp(min=k)).clamp(0, 1)  # [B, T, ...]
    side = torch.randint(1, 6, (B, 1, 1), generator=generator) / 20
    box = _box(H, W, (side * H).round(), (side * W).round(), generator)[:, None, None]
    dropped = torch.where(kind == 1, covered, torch.where(kind == 2, box, (kind == 3) * part))
    seed = int(torch.randint(2**62, (), generator=generator))
    is_there = frames > 0  # in few places
    kept = (1 - dropped).to(frames.device).expand_as(frames)[is_there]
    thinned = torch.zeros_like(frames)
    thinned[is_there] = torch.binomial(
        frames[is_there].float(), kept, generator=Generator(frames.device).manual_seed(seed)
    ).to(frames.dtype)
    return thinned


def _box(height: int, width: int, rows: Tensor, columns: Tensor, generator: Generator) -> Tensor:
    """Return masks [B, H, W] of rectangles of that size [B, 1, 1], each at a random place."""
    top = (torch.rand(rows.shape, generator=generator) * (height - rows + 1)).floor()
    left = (torch.rand(rows.shape, generator=generator) * (width - columns + 1)).floor()
    y, x = torch.arange(height)[:, None], torch.arange(width)
    return (top <= y) & (y < top + rows) & (left <= x) & (x < left + columns)
