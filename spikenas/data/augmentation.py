"""`Augmentation`: random changes of whole batches of uint8 images, on the device they are on.

Event frames [B, T, C, H, W] go through the same steps as an image of T * C channels would, so
that all steps of a sample are changed alike. RandAugment is for colours and not for them; what is
for them alone is in `spikenas.data.event_augmentation`.

Crop and flip are drawn per image and done by one gather. RandAugment (Cubuk 2019), random erasing
(Zhong 2017), MixUp (Zhang 2017) and CutMix (Yun 2019) are torchvision's. Its RandAugment changes
a whole batch alike, so a batch is cut into groups of 8 images that draw on their own: each image
has the published distribution, and only groupmates, strangers since the shuffle, share a draw.

torchvision draws from torch's global generator. It is forked and seeded from the generator given,
so equal generators give equal batches and the global state stays as it was.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from spikenas.data.event_augmentation import event_drop, snn_augment_wide

_GROUP = 8
# The official recipes take RandAugment from timm: magnitudes are of 10, and each operation is
# applied with probability 1/2. Its jitter of the magnitude (mstd 0.4) is left out.
_MAGNITUDE_BINS = 11
_OPERATION_PROBABILITY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What is done to a training batch, in this order; 0 and False switch a step off.

    Attributes:
        num_classes: of the labels, which MixUp and CutMix turn into probabilities.
        fill: colour per channel, 0..255, of uncovered and erased areas; the data set's mean.
        random_crop_padding: pixels of black around the image before a crop of its own size.
        horizontal_flip: whether every second image is mirrored.
        event_drop: whether EventDrop leaves events out.
        snn_augment_wide: whether event frames are moved, turned, or have a square cut out.
        rand_augment_ops: operations per image, each applied half of the time.
        rand_augment_magnitude: their strength, 0 to 10.
        random_erasing: probability that a rectangle of an image is erased.
        mixup: alpha of the Beta distribution that MixUp draws its share from.
        cutmix: likewise; where both are on, each batch takes one of them by a coin.
    """

    num_classes: int
    fill: tuple[float, ...]
    random_crop_padding: int = 0
    horizontal_flip: bool = False
    event_drop: bool = False
    snn_augment_wide: bool = False
    rand_augment_ops: int = 0
    rand_augment_magnitude: int = 9
    random_erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __call__(
        self, images: Tensor, labels: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """Return changed images in 0..255, and labels, as probabilities [B, K] where mixed."""
        if self.event_drop:
            images = event_drop(images, generator)
        if self.snn_augment_wide:
            images = snn_augment_wide(images, generator)
        shape = images.shape
        images = images.flatten(1, -3)  # [B, C, H, W], of events [B, T * C, H, W]
        if self.random_crop_padding or self.horizontal_flip:
            images = self._cropped_and_flipped(images, generator)
        if not (self.rand_augment_ops or self.random_erasing or self.mixup or self.cutmix):
            return images.view(shape), labels
        seed = int(torch.randint(2**62, (), generator=generator))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            if self.rand_augment_ops:
                images = self._rand_augmented(images)
            if self.random_erasing:
                images = self._erased(images)
            if self.mixup or self.cutmix:
                images, labels = self._mixed(images.float(), labels)
        return images.view(shape), labels

    def _cropped_and_flipped(self, images: Tensor, generator: Generator) -> Tensor:
        B, C, H, W = images.shape
        p = self.random_crop_padding
        top = torch.randint(2 * p + 1, (B, 1), generator=generator)
        left = torch.randint(2 * p + 1, (B, 1), generator=generator)
        rows, columns = top + torch.arange(H), left + torch.arange(W)  # [B, H], [B, W]
        if self.horizontal_flip:
            flipped = torch.rand(B, 1, generator=generator) < 0.5
            columns = torch.where(flipped, columns.flip(1), columns)
        pixels = rows[:, :, None] * (W + 2 * p) + columns[:, None, :]  # [B, H, W]
        index = pixels.to(images.device).view(B, 1, H * W).expand(B, C, H * W)
        return pad(images, (p, p, p, p)).flatten(2).gather(2, index).view(B, C, H, W)

    def _rand_augmented(self, images: Tensor) -> Tensor:
        from spikenas.data.torchvision_door import v2  # noqa: PLC0415  (2 s, only where needed)

        transform = v2.RandAugment(
            num_ops=1,
            magnitude=self.rand_augment_magnitude,
            num_magnitude_bins=_MAGNITUDE_BINS,
            interpolation=v2.InterpolationMode.BILINEAR,
            fill=list(self.fill),
        )
        groups = []
        for group in torch.split(images, _GROUP):
            changed = group
            for _ in range(self.rand_augment_ops):
                if torch.rand(()) < _OPERATION_PROBABILITY:
                    changed = transform(changed)
            groups.append(changed)
        return torch.cat(groups)  # [B, C, H, W]

    def _erased(self, images: Tensor) -> Tensor:
        from spikenas.data.torchvision_door import v2  # noqa: PLC0415

        fill = [round(colour) for colour in self.fill] * (images.shape[1] // len(self.fill))
        transform = v2.RandomErasing(p=1.0, value=fill)
        images = images.clone()
        chosen = torch.rand(len(images)) < self.random_erasing
        for row in chosen.nonzero().flatten().tolist():
            images[row] = transform(images[row])
        return images

    def _mixed(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        from spikenas.data.torchvision_door import v2  # noqa: PLC0415

        kinds = [(v2.MixUp, self.mixup), (v2.CutMix, self.cutmix)]
        live = [kind(alpha=alpha, num_classes=self.num_classes) for kind, alpha in kinds if alpha]
        transform = live[int(torch.randint(len(live), ()))]
        mixed: tuple[Tensor, Tensor] = transform(images, labels)
        return mixed
