"""Your own images: ``root/{train,test}/CLASS/*.png``, or ``root/CLASS/*.png``.

Classes are the folders' names in sorted order. Each image is made RGB and cropped and resized to
``image_size``: turned as its EXIF orientation says, its first frame if it has several, put on white
where it is transparent, and with 16 bits divided by 257, so that it equals its copy in 8 bits.
Ten thousand of 224 pixels take 1.4 GiB, in memory while they are read and on disk afterwards.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from spikenas.data.source import Arrays, Survey
from spikenas.exceptions import DataError

_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".gif"),
)
_NAMED = 5  # so many broken files are named at once
_LAYOUT = (
    "Expected: ROOT/train/CLASS/*.png and ROOT/test/CLASS/*.png, or ROOT/CLASS/*.png for a test "
    f"split held out; image files end in {', '.join(_SUFFIXES)}"
)
_Listing = list[tuple[Path, int]]  # file and label


class ImageFolder:
    """The `Source` of ``image_folder``."""

    def survey(self, folder: Path, image_size: int | None) -> Survey:
        """List the files and see that none is empty."""
        assert image_size is not None  # DataSpec saw to it
        classes, train, test = _listings(folder)
        for path, _ in (*train, *test):
            if path.stat().st_size == 0:
                raise DataError(f"{path} is an empty file; delete it or put the image back")
        return Survey(
            channels=3,
            height=image_size,
            width=image_size,
            num_classes=len(classes),
            num_train=len(train),
            num_test=len(test),
            mean=(0.485, 0.456, 0.406),  # of ImageNet, as is usual for photographs
            std=(0.229, 0.224, 0.225),
        )

    def files(self, folder: Path) -> list[Path]:
        """List the images of both parts."""
        _, train, test = _listings(folder)
        return [path for path, _ in (*train, *test)]

    def read(self, folder: Path, image_size: int | None) -> Arrays:
        """Read every image; a broken one is named."""
        assert image_size is not None
        _, train, test = _listings(folder)
        return Arrays(*_read(train, image_size), *_read(test, image_size))


def _listings(folder: Path) -> tuple[list[str], _Listing, _Listing]:
    """Return the classes and the files of the training and the test part."""
    if not folder.is_dir():
        raise DataError(f"image_folder: there is no folder {folder}. {_LAYOUT}")
    has_parts = (folder / "train").is_dir() or (folder / "test").is_dir()
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        if has_parts and part.name.lower() in ("val", "valid", "validation"):
            raise DataError(
                f"image_folder: {part} would be left out, for the validation part is drawn from "
                f"{folder / 'train'}; move it elsewhere, or its images into train"
            )
    if not has_parts:
        classes = _classes(folder)
        return classes, _files(folder, classes), []
    classes = _classes(folder / "train")
    strangers = set(_classes(folder / "test")) - set(classes)
    if strangers:
        raise DataError(
            f"{folder / 'test'} has classes that {folder / 'train'} lacks: "
            f"{', '.join(sorted(strangers))}"
        )
    tested = [name for name in classes if (folder / "test" / name).is_dir()]
    test = [(path, classes.index(tested[i])) for path, i in _files(folder / "test", tested)]
    return classes, _files(folder / "train", classes), test


def _classes(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"image_folder: there is no folder {folder}. {_LAYOUT}")
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(names) < 2:
        raise DataError(
            f"image_folder: {folder} has {len(names)} class folders; two are the least. {_LAYOUT}"
        )
    return names


def _files(folder: Path, classes: Sequence[str]) -> _Listing:
    listing: _Listing = []
    for label, name in enumerate(classes):
        files = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in _SUFFIXES)
        if not files:
            raise DataError(f"image_folder: class folder {folder / name} has no image. {_LAYOUT}")
        listing += [(path, label) for path in files]
    return listing


def _read(listing: _Listing, image_size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
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
        raise DataError(f"{'; '.join(broken[:_NAMED])}{more}; delete them or put them back whole")
    return images, np.array([label for _, label in listing], np.int64)


def _image(path: Path, size: int) -> NDArray[np.uint8] | str:
    """Return the image, uint8 [3, H, W], or why there is none."""
    try:
        with Image.open(path) as image:
            square = ImageOps.fit(
                _rgb(ImageOps.exif_transpose(image)), (size, size), Image.Resampling.BICUBIC
            )
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"{path} cannot be read as an image: {error}"
    return np.asarray(square).transpose(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # grey of 16 bits, in Pillow's several modes for it
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 0xFFFF:
            raise ValueError(f"its grey goes from {grey.min()} to {grey.max()}, not 0 to 65535")
        return Image.fromarray(np.round(grey / 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its grey is in floats, of which nobody says the range")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
