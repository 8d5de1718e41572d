"""`EventSource`: where recordings of an event camera come from, before they are made frames."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from spikenas.data.source import Survey
from spikenas.exceptions import DataError


class Events(NamedTuple):
    """The n events of one recording, each an array [n] of integers.

    ``x`` is the column and ``y`` the row, from the upper left corner; ``polarity`` is 0 where the
    light fell (OFF) and 1 where it rose (ON); ``t`` is in microseconds.
    """

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    polarity: NDArray[np.int64]
    t: NDArray[np.int64]


class Recording(NamedTuple):
    """One file; size in bytes and time of its last change are what tell it from another."""

    path: Path
    label: int
    size: int
    mtime_ns: int


class Recordings(NamedTuple):
    """All files of a data set; ``test`` is empty where a part of ``train`` is to be held out."""

    train: list[Recording]
    test: list[Recording]


class EventSource(Protocol):
    """One data set. Each verb raises DataError: what is missing, where, and how to get it.

    ``sensor`` is the height and width of the camera in pixels.
    """

    sensor: tuple[int, int]

    def survey(self, folder: Path, image_size: int | None) -> Survey:
        """Check the files on disk without reading them; the size is the sensor's."""
        ...

    def recordings(self, folder: Path) -> Recordings:
        """List the files, in an order that is the same on every machine."""
        ...

    def classes(self, folder: Path) -> tuple[str, ...]:
        """Return the names of the classes by label."""
        ...

    def read(self, path: Path) -> Events:
        """Read one recording."""
        ...


def is_hidden(name: str) -> bool:
    """Tell whether a system put it there: ``._x.bin`` and ``__MACOSX`` are of no data set."""
    return name.startswith((".", "__"))


def listed(folder: Path, suffix: str, missing: str) -> Iterator[os.DirEntry[str]]:
    """Yield the files of a folder that end in ``suffix`` in any case, by name, but hidden ones.

    Raises DataError, which ends with ``missing``, where there is none or one of them is empty.
    """
    try:
        with os.scandir(folder) as entries:
            files = sorted(
                (
                    entry
                    for entry in entries
                    if entry.name.lower().endswith(suffix) and not is_hidden(entry.name)
                ),
                key=lambda entry: entry.name,
            )
    except FileNotFoundError:
        raise DataError(f"there is no folder {folder}. {missing}") from None
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error}. {missing}") from None
    if not files:
        raise DataError(f"{folder} has no file that ends in {suffix}. {missing}")
    for file in files:
        if file.stat().st_size == 0:
            raise DataError(f"{file.path} is an empty file; delete it or put it back whole")
        yield file


def recording(file: os.DirEntry[str], label: int) -> Recording:
    """Return a listed file as a recording of that class."""
    stat = file.stat()
    return Recording(Path(file.path), label, stat.st_size, stat.st_mtime_ns)
