"""`EventSource`: where recordings of an event camera come from, before they are made frames."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from spikenas.data.source import is_foreign
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
    """One file. By its ``name`` a recording of a class is known in every layout."""

    path: Path
    label: int
    name: str


class Recordings(NamedTuple):
    """All files of a data set; ``test`` is empty where a part of ``train`` is to be held out."""

    train: list[Recording]
    test: list[Recording]


class Layout(NamedTuple):
    """A form in which a data set may lie on the disk.

    ``listed`` lists the files in an order that is the same on every machine. It raises DataError
    where some are missing or damaged: which, where, and how to get them.
    """

    home: Path
    files: str  # what they are, for messages
    is_there: bool
    listed: Callable[[], Recordings]

    def __str__(self) -> str:
        return f"{self.home} ({self.files})"


class EventSource(Protocol):
    """One data set.

    Attributes:
        sensor: height and width of the camera in pixels.
        classes: their names by label.
        homes: the names that its folder may have in the data root.
        has_test_files: whether it comes with a test part.
    """

    sensor: tuple[int, int]
    classes: tuple[str, ...]
    homes: tuple[str, ...]
    has_test_files: bool

    def layouts(self, folder: Path) -> list[Layout]:
        """Return the layouts of its own, the most original first, whether they are there or not."""
        ...

    def name(self, stem: str, label: int) -> str:
        """Return the name of the recording that SpikingJelly keeps in a file of this stem."""
        ...

    def check_readable(self, recordings: Recordings) -> None:
        """Raise DataError where what reads the files is not installed."""
        ...

    def read(self, path: Path) -> Events:
        """Read one recording; raises DataError where it is none."""
        ...


def files_in(folder: Path, suffix: str, missing: str) -> Iterator[os.DirEntry[str]]:
    """Yield the files of a folder that end in ``suffix`` in any case, by name, but foreign ones.

    Raises DataError, which ends with ``missing``, where there is none or one of them is empty.
    """
    try:
        with os.scandir(folder) as entries:
            files = sorted(
                (
                    entry
                    for entry in entries
                    if entry.name.lower().endswith(suffix) and not is_foreign(entry.name)
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
        if not file.is_file():
            raise DataError(f"{file.path} is a folder or a link to nothing; delete it")
        if file.stat().st_size == 0:
            raise DataError(f"{file.path} is an empty file; delete it or put it back whole")
        yield file
