"""MNIST and its kin: four idx files, raw or gzipped, in torchvision's folders.

An idx file is a big-endian header (magic, then each dimension) and the bytes. We read it
ourselves: the header and the length say whether a file is whole, and gzipped files need no
unpacking. LeCun 1998; FashionMNIST: Xiao 2017.
"""

import gzip
import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from spikenas.data.source import Arrays, Survey, download_hint
from spikenas.exceptions import DataError

_SHAPES: dict[str, tuple[int, ...]] = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IdxSource:
    """The `DataSource` of a set in MNIST's format; its name is torchvision's class and folder."""

    name: str
    mean: tuple[float]
    std: tuple[float]
    classes: tuple[str, ...] = ()

    def survey(self, folder: Path, image_size: int | None) -> Survey:
        """Check that the four files are there and whole by header and length."""
        for file in _SHAPES:
            self._check(folder, file)
        return Survey(
            channels=1,
            height=28,
            width=28,
            num_classes=10,
            num_train=60_000,
            num_test=10_000,
            mean=self.mean,
            std=self.std,
            classes=self.classes,
        )

    def files(self, folder: Path) -> list[Path]:
        """List the four files, raw or gzipped."""
        return [self._path(folder, file) for file in _SHAPES]

    def read(self, folder: Path, image_size: int | None) -> Arrays:
        """Read the four files."""
        train_images, train_labels, test_images, test_labels = (
            self._values(folder, file) for file in _SHAPES
        )
        return Arrays(
            train_images[:, None],  # [N, 1, H, W]
            train_labels.astype(np.int64),
            test_images[:, None],
            test_labels.astype(np.int64),
        )

    def _check(self, folder: Path, file: str) -> None:
        path = self._path(folder, file)
        header = _header(file)
        try:
            with _open(path) as stream:
                found = stream.read(len(header))
            size = _unpacked_size(path)
        except (OSError, EOFError, zlib.error, struct.error) as error:
            raise self._damaged(folder, path, str(error)) from error
        if found != header:
            raise self._damaged(folder, path, f"it is no idx file of shape {_SHAPES[file]}")
        if size != len(header) + prod(_SHAPES[file]):
            raise self._damaged(
                folder, path, f"it has {size} bytes, not {len(header) + prod(_SHAPES[file])}"
            )

    def _values(self, folder: Path, file: str) -> NDArray[np.uint8]:
        path = self._path(folder, file)
        try:
            with _open(path) as stream:
                content = stream.read()
            values = np.frombuffer(content, np.uint8, offset=len(_header(file)))
            return values.reshape(_SHAPES[file]).copy()  # torch wants it writable
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise self._damaged(folder, path, str(error)) from error

    def _path(self, folder: Path, file: str) -> Path:
        raw = folder / self.name / "raw" / file
        for path in (raw, raw.with_name(f"{file}.gz")):
            if path.is_file():
                return path
        raise DataError(
            f"{self.name} is missing: there is neither {raw} nor {raw}.gz. "
            f"{download_hint(self.name, folder)}"
        )

    def _damaged(self, folder: Path, path: Path, why: str) -> DataError:
        return DataError(
            f"{self.name}: {path} is truncated or damaged: {why}. Delete it and get it again. "
            f"{download_hint(self.name, folder)}"
        )


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _header(file: str) -> bytes:
    shape = _SHAPES[file]
    return struct.pack(f">{1 + len(shape)}I", 0x0800 + len(shape), *shape)  # 0x08: bytes


def _unpacked_size(path: Path) -> int:
    if path.suffix != ".gz":
        return path.stat().st_size
    with path.open("rb") as stream:  # a gzip file ends with its unpacked length
        stream.seek(-4, 2)
        return int(struct.unpack("<I", stream.read())[0])
