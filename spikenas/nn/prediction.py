"""`prepared`: convert a user's images to what the network was trained on.

The arithmetic is that of `spikenas.data`, so predictions are bit-identical to those of the search.
Axes: B batch, T steps of events, C channels, H, W image.
"""

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn.functional import interpolate

from spikenas.exceptions import UsageError
from spikenas.preprocessing import Preprocessing


def prepared(images: object, how: Preprocessing | None) -> Tensor:
    """Return normalised float32 images [B, C, H, W], or counts of events [B, T, 2, H, W]."""
    if how is None:
        raise UsageError(
            "this network does not know how its images were prepared, so it cannot predict: it was "
            "built anew or exported without preprocessing; export it again from its run, set "
            "network.preprocessing, or give normalised images to network(images)"
        )
    x = _tensor(images)
    given = [*x.shape]
    rank = 5 if how.kind == "events" else 4
    if x.ndim == rank - 1:
        x = x[None]  # [1, ...]
    _check(x, how, rank, given)
    if how.kind == "events":
        return _smaller(x, how).float()
    if x.shape[1] != how.channels:
        x = _rgb(x)
    if tuple(x.shape[-2:]) != (how.height, how.width):
        x = _resized(x, how)
    return normalised(_whole(x).float(), how)


class FromPixels(nn.Module):
    """A network that normalises its input: from floats in 0..1 [B, C, H, W] to logits."""

    def __init__(self, network: nn.Module, how: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.how = how

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, classes]."""
        return self.network(normalised(_in_255(images), self.how))


def normalised(pixels: Tensor, how: Preprocessing) -> Tensor:
    """Return images of 0..255 with zero mean and unit deviation per channel."""
    mean, std = torch.tensor((how.mean, how.std), device=pixels.device)[..., None, None]
    return (pixels - 255 * mean) / (255 * std)  # [B, C, H, W]


def _tensor(images: object) -> Tensor:
    if isinstance(images, Tensor):
        return images
    if isinstance(images, np.ndarray) and images.dtype.kind in "uif":
        return torch.from_numpy(np.array(images))
    raise UsageError(f"images are a {type(images).__name__}; give a tensor or an array of numbers")


def _check(x: Tensor, how: Preprocessing, rank: int, given: list[int]) -> None:
    is_events = how.kind == "events"
    steps = f"T={how.num_steps}, " if is_events else ""
    needed = f"[B, {steps}C={how.channels} ({how.channel_order}), H={how.height}, W={how.width}]"
    size = (how.height, how.width)
    if is_events:
        fits = x.ndim == rank and tuple(x.shape[1:3]) == (how.num_steps, how.channels)
        fits = fits and tuple(x.shape[3:]) in (size, how.sensor_size)
        if how.sensor_size not in (None, size):
            needed += f", or at the camera's {how.sensor_size[0]}x{how.sensor_size[1]} pixels"
    else:
        fits = x.ndim == rank and x.shape[1] in _channels(how)
        if fits and how.resize == "none" and tuple(x.shape[2:]) != size:
            needed += ", as the search resized no image"
            fits = False
    if not fits or 0 in x.shape:
        raise UsageError(f"images have shape {given}; needed: {needed}, or one without B")
    if is_events:
        if x.is_complex() or x.dtype == torch.bool or not x.isfinite().all() or (x < 0).any():
            raise UsageError("events must be finite counts per pixel, none below 0")
        if x.is_floating_point() and (x != x.round()).any():
            raise UsageError("events have counts that are not whole; give them without normalising")
        return
    if x.dtype == torch.uint8:
        return
    if not x.is_floating_point():
        raise UsageError(f"images are {x.dtype}; needed: uint8, or floats in 0..1")
    low, high = float(x.min()), float(x.max())
    if not (low >= 0 and high <= 1):
        raise UsageError(
            f"images of floats go from {low:.9g} to {high:.9g}; needed: 0..1, or uint8 in 0..255. "
            "Give images that are already normalised to network(images)"
        )


def _channels(how: Preprocessing) -> set[int]:
    """Return the accepted numbers of channels: grey and alpha as the data set's reader does."""
    if how.channel_order != "RGB":
        return {how.channels}
    grey = {1} if how.grey_as_rgb else set()
    alpha = {channels + 1 for channels in {3, *grey}} if how.ground else set()
    return {3, *grey, *alpha}


def _rgb(x: Tensor) -> Tensor:
    """Convert grey to RGB, and images with alpha to uint8 RGB on white."""
    if x.shape[1] == 1:
        return x.expand(-1, 3, -1, -1)
    images = []
    for pixels in _whole(x).permute(0, 2, 3, 1).cpu().numpy():  # [H, W, 2 or 4]
        image = Image.fromarray(pixels).convert("RGBA")  # of LA or RGBA
        ground = Image.new("RGBA", image.size, "white")
        rgb = Image.alpha_composite(ground, image).convert("RGB")
        images.append(torch.from_numpy(np.array(rgb)).permute(2, 0, 1))
    return torch.stack(images)  # [B, 3, H, W]


def _smaller(x: Tensor, how: Preprocessing) -> Tensor:
    """Add up the counts of the camera's pixels if the network's frames are smaller."""
    height, width = x.shape[-2:]
    if (height, width) == (how.height, how.width):
        return x
    rows = torch.arange(height, device=x.device) * how.height // height
    columns = torch.arange(width, device=x.device) * how.width // width
    counts = x.double()  # exact for any count
    counts = counts.new_zeros(*x.shape[:3], how.height, width).index_add_(3, rows, counts)
    counts = counts.new_zeros(*x.shape[:3], how.height, how.width).index_add_(4, columns, counts)
    return counts.clamp_(max=255)  # as the search stores them


def _whole(x: Tensor) -> Tensor:
    """Round floats in 0..1 to 8 bits, as the search keeps all images."""
    return x if x.dtype == torch.uint8 else (x.double() * 255).round().to(torch.uint8)


def _in_255(x: Tensor) -> Tensor:
    """Scale 0..1 to 0..255; values that came from uint8 become whole numbers again."""
    scaled = x.float() * 255
    whole = scaled.round()
    return torch.where((scaled - whole).abs() < 1e-4, whole, scaled)


def _resized(x: Tensor, how: Preprocessing) -> Tensor:
    """Resize as in the search, which resized uint8 images, so floats are rounded first."""
    pixels = _whole(x)
    shape = (how.height, how.width)
    if how.resize != "centre_crop_bicubic":
        return interpolate(pixels.contiguous(), shape, mode="bilinear", antialias=True)
    rows = [
        ImageOps.fit(Image.fromarray(image), shape[::-1], Image.Resampling.BICUBIC)
        for image in pixels.permute(0, 2, 3, 1).cpu().numpy()
    ]
    return torch.stack([torch.from_numpy(np.array(row)).permute(2, 0, 1) for row in rows])
