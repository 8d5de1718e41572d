"""Your own images: ``root/{train,val,test}/CLASS/*.png``, or ``root/CLASS/*.png``.

Classes are the folders' names in sorted order. Each image is made RGB and cropped and resized to
``image_size``: turned as its EXIF orientation says, its first frame if it has several, put on white
where it is transparent, and with 16 bits divided by 257, so that it equals its copy in 8 bits.
Ten thousand of 224 pixels take 1.4 GiB, in memory while they are read and on disk afterwards.
"""

import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from spikenas.data.image_listing import Labelled, listed_images
from spikenas.data.source import Arrays, Survey
from spikenas.exceptions import DataError, shown

_PHOTOMETRIC = 262  # the tag of a TIFF
_NAMED = 5  # so many broken files are named at once
_MOST_PIXELS = 10**8


class ImageFolder:
    """The `DataSource` of ``image_folder``."""

    def survey(self, folder: Path, image_size: int | None) -> Survey:
        """List the files and see that none is empty."""
        assert image_size is not None  # DataSpec saw to it
        found = listed_images(folder)
        return Survey(
            channels=3,
            height=image_size,
            width=image_size,
            num_classes=len(found.classes),
            classes=found.classes,
            num_train=len(found.train),
            num_validation=len(found.validation),
            num_test=len(found.test),
            mean=(0.485, 0.456, 0.406),  # of ImageNet, as is usual for photographs
            std=(0.229, 0.224, 0.225),
            notes=found.notes,
        )

    def files(self, folder: Path) -> list[Path]:
        """List the images of all parts."""
        return listed_images(folder).files

    def read(self, folder: Path, image_size: int | None) -> Arrays:
        """Read every image; broken ones are named."""
        assert image_size is not None
        found = listed_images(folder)
        images, labels = _read([*found.train, *found.test, *found.validation], image_size)
        n, m = len(found.train), len(found.train) + len(found.test)
        return Arrays(images[:n], labels[:n], images[n:m], labels[n:m], images[m:], labels[m:])


def _read(listing: Labelled, image_size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    broken: list[str] = []
    images = np.empty((len(listing), 3, image_size, image_size), np.uint8)
    with ThreadPoolExecutor() as threads:  # decoding runs outside the interpreter's lock
        paths = (path for path, _ in listing)
        for i, image in enumerate(threads.map(partial(_image, size=image_size), paths)):
            if isinstance(image, str):
                broken.append(image)
            else:
                images[i] = image
    if broken:
        more = f"; and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        raise DataError(f"{'; '.join(broken[:_NAMED])}{more}; delete or mend these files")
    return images, np.array([label for _, label in listing], np.int64)


def _image(path: Path, size: int) -> NDArray[np.uint8] | str:
    """Return the image, uint8 [3, H, W], or why there is none."""
    try:
        # Pillow warns of what is large; the limit here is ours, and an error.
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(path)
        with image:
            if image.width * image.height > _MOST_PIXELS:
                raise Image.DecompressionBombError
            rgb = _rgb(ImageOps.exif_transpose(image), is_inverted=_is_inverted(image))
            square = ImageOps.fit(rgb, (size, size), Image.Resampling.BICUBIC)
    except UnidentifiedImageError:
        return f"{shown(path)} cannot be read as an image: it is none"
    except Image.DecompressionBombError:
        return f"{shown(path)} has over 100 million pixels: scale it down"
    except (OSError, SyntaxError, ValueError) as error:
        return f"{shown(path)} cannot be read as an image: {error}"
    return np.asarray(square).transpose(2, 0, 1)


def _rgb(image: Image.Image, *, is_inverted: bool) -> Image.Image:
    if image.mode.startswith("I"):  # grey of 16 bits, in Pillow's several modes for it
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 0xFFFF:
            raise ValueError(f"its grey goes from {grey.min()} to {grey.max()}, not 0 to 65535")
        eight = np.round(grey / 257).astype(np.uint8)
        if is_inverted:
            eight = 255 - eight
        if "transparency" in image.info:  # one grey stands for nothing
            eight[grey == image.info["transparency"]] = 255
        return Image.fromarray(eight).convert("RGB")
    if image.mode == "F":
        raise ValueError("its grey is in floats, of which nobody says the range")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _is_inverted(image: Image.Image) -> bool:
    """Whether a TIFF has white as 0, which Pillow undoes for 8 bits alone."""
    tags: Any = getattr(image, "tag_v2", None) or {}
    return bool(tags.get(_PHOTOMETRIC, 1) == 0)
