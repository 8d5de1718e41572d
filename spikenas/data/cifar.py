"""CIFAR-10 and CIFAR-100: the Python batches, in torchvision's folders (Krizhevsky 2009).

The batches are pickles, and a pickle from a download is code, so they are read by an unpickler
that knows four harmless names and nothing else. A file is judged by its structure (length, end,
shapes, labels), not by torchvision's md5: copies with the same images pickled anew are fine.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from spikenas.data.source import Arrays, Survey, download_hint
from spikenas.exceptions import DataError

_PIXELS = 3 * 32 * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CifarSource:
    """The `DataSource` of one of the two; each file is named with the images that it holds."""

    name: str  # torchvision's class
    subfolder: str
    train_files: dict[str, int]
    test_files: dict[str, int]
    labels: str  # the key of the labels within a batch
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def survey(self, folder: Path, image_size: int | None) -> Survey:
        """Check that every batch is there, long enough and not cut off."""
        for file, count in {**self.train_files, **self.test_files}.items():
            path = folder / self.subfolder / file
            if not path.is_file():
                raise DataError(
                    f"{self.name} is missing: there is no {path}. "
                    f"{download_hint(self.name, folder)}"
                )
            with path.open("rb") as stream:
                size = stream.seek(0, 2)
                stream.seek(max(0, size - 1))
                end = stream.read()
            if size < count * _PIXELS or end != pickle.STOP:
                raise self._damaged(
                    path, f"{size} bytes are not {count} whole images of {_PIXELS} bytes"
                )
        return Survey(
            channels=3,
            height=32,
            width=32,
            num_classes=len(self.classes),
            classes=self.classes,
            num_train=sum(self.train_files.values()),
            num_test=sum(self.test_files.values()),
            mean=self.mean,
            std=self.std,
        )

    def files(self, folder: Path) -> list[Path]:
        """List the batches."""
        return [folder / self.subfolder / file for file in (*self.train_files, *self.test_files)]

    def read(self, folder: Path, image_size: int | None) -> Arrays:
        """Read every batch."""
        train_images, train_labels = self._batches(folder, self.train_files)
        test_images, test_labels = self._batches(folder, self.test_files)
        return Arrays(train_images, train_labels, test_images, test_labels)

    def _batches(
        self, folder: Path, files: dict[str, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        images, labels = [], []
        for file, count in files.items():
            path = folder / self.subfolder / file
            try:
                with path.open("rb") as stream:
                    batch = _Unpickler(stream, encoding="latin1").load()
                images.append(batch["data"].pixels.reshape(count, 3, 32, 32))
                labels.append(np.array(batch[self.labels], np.int64).reshape(count))
            except Exception as error:  # a damaged pickle may raise anything
                raise self._damaged(path, f"{type(error).__name__}: {error}") from error
        return np.concatenate(images), np.concatenate(labels)

    def _damaged(self, path: Path, why: str) -> DataError:
        return DataError(
            f"{self.name}: {path} is truncated or damaged: {why}. "
            f"Delete it and get it again. {download_hint(self.name, path.parents[1])}"
        )


class _PickledArray:
    """Takes the place of an ndarray that is being unpickled, so that numpy runs nothing."""

    pixels: NDArray[np.uint8]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, _, is_fortran, content = state
        content = content.encode("latin1") if isinstance(content, str) else content
        order: Literal["F", "C"] = "F" if is_fortran else "C"
        self.pixels = np.ndarray(shape, np.uint8, content, order=order)


class _PickledType:
    """Takes the place of the dtype, which is always uint8."""

    def __init__(self, *code: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def _array(*_: object) -> _PickledArray:
    return _PickledArray()


def _bytes(text: str, _encoding: str) -> bytes:
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Knows an array of bytes and nothing else; any other name is refused."""

    _known: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): _array,  # numpy 1, and the original files
        ("numpy._core.multiarray", "_reconstruct"): _array,  # numpy 2
        ("numpy", "ndarray"): _PickledArray,
        ("numpy", "dtype"): _PickledType,
        ("_codecs", "encode"): _bytes,  # bytes pickled by Python 3 for Python 2
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR batch needs")
        return self._known[module, name]
