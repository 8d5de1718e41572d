"""`ImageSet`: images or event frames in memory, handed out in normalised batches.

Sets are uint8, pages of one file for all processes of a machine, and a batch is a few of their
rows, so no loader processes are needed. All
randomness comes from the generator given; torch's global one is never touched.
Frames of events are a set like any other with an axis more: their mean is 0 and their deviation
1/255, so that a batch has plain counts and no event stays exactly 0.
Axes: N samples of the set, B of a batch; T steps of events; C, H, W as ever.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from spikenas.data.spec import DataInfo

Augment = Callable[[Tensor, Tensor, Generator], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageSet:
    """Images, or event frames, and labels of one split.

    Attributes:
        images: uint8 [N, C, H, W], or of events [N, T, 2, H, W] with polarities OFF, ON.
        labels: int64 [N].
        num_classes: how many classes there are, also where a split lacks one.
        mean: per channel, of images in 0..1; batches have it taken off.
        std: likewise; batches are divided by it.
    """

    images: Tensor
    labels: Tensor
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "ImageSet":
        """Return the set with its tensors on ``device``; batches are then made there."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def batches(
        self,
        batch_size: int,
        *,
        generator: Generator | None = None,
        augment: Augment | None = None,
        drop_last: bool = False,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield float32 normalised images [B, C, H, W], or counts [B, T, 2, H, W], and labels.

        Shuffled where a ``generator`` (of the CPU) is given. ``augment`` gets uint8 images,
        labels and that generator; it may return float images in 0..255, and labels as
        probabilities [B, num_classes]. ``drop_last`` leaves out a last batch that is not full.
        """
        if augment and generator is None:
            raise ValueError("augment needs a generator to draw from")
        if generator is None:
            order = torch.arange(len(self))
        else:
            order = torch.randperm(len(self), generator=generator)
        for rows in torch.split(order.to(self.images.device), batch_size):
            if drop_last and len(rows) < batch_size:
                return
            images, labels = self.images[rows], self.labels[rows]
            if augment and generator:
                images, labels = augment(images, labels, generator)
            yield self.normalised(images), labels

    def normalised(self, images: Tensor) -> Tensor:
        """Return images of 0..255 as float32 with zero mean and unit deviation per channel."""
        mean, std = torch.tensor((self.mean, self.std), device=images.device)[..., None, None]
        normalised: Tensor = (images.float() - 255 * mean).div_(255 * std)  # [B, (T,) C, H, W]
        return normalised


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Splits:
    """The three parts of a data set; a search sees ``train`` and ``validation`` only."""

    info: DataInfo
    train: ImageSet
    validation: ImageSet
    test: ImageSet
