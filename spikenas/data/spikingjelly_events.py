"""Recordings as SpikingJelly keeps them: ``events_np/.../*.npz`` with the arrays t, x, y and p.

Its loaders write them from the original files (`spikingjelly.datasets`, Fang 2023): times in
microseconds, polarity 1 where the light rose. The folder lies in the data root, or in a folder of
the data set there; its classes are numbered in the parts ``train`` and ``test``, or named where
the data set has no parts.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikenas.data.recordings import Events, EventSource, Layout, Recording, Recordings, files_in
from spikenas.exceptions import DataError

_KEYS = ("x", "y", "p", "t")


def places(source: EventSource, folder: Path) -> list[Path]:
    """Return where SpikingJelly's folders of a data set may lie."""
    return [folder, *(folder / name for name in source.homes)]


def events_np(source: EventSource, folder: Path) -> list[Layout]:
    """Return the layouts of SpikingJelly's events."""
    return [
        layout(source, place / "events_np", "SpikingJelly's events")
        for place in places(source, folder)
    ]


def layout(source: EventSource, home: Path, files: str) -> Layout:
    """Return the layout of a folder that SpikingJelly wrote; another data set's is not there."""
    inside = ("train", "test") if source.has_test_files else source.classes
    is_there = any((home / name).is_dir() for name in inside)
    return Layout(home, files, is_there, partial(_recordings, source, home))


def arrays_in(path: Path, keys: Sequence[str]) -> list[NDArray[np.int64]]:
    """Return the named arrays of whole numbers; raises DataError where there are none."""
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise DataError(f"{path} is one array and no .npz of several; get it again")
            absent = [key for key in keys if key not in arrays.files]
            if absent:
                raise DataError(
                    f"{path} lacks {', '.join(absent)} and has {', '.join(arrays.files) or 'none'};"
                    f" needed: the arrays {', '.join(keys)}"
                )
            return [_whole(path, key, arrays[key]) for key in keys]
    except (DataError, MemoryError):
        raise
    except Exception as error:  # zipfile, zlib and numpy raise whatever they meet
        raise DataError(
            f"{path} is truncated or damaged: {error}; delete it or get it again"
        ) from error


def read_npz(path: Path) -> Events:
    """Read one recording; raises DataError where it is none."""
    x, y, polarity, t = arrays_in(path, _KEYS)
    for key, array in zip(_KEYS, (x, y, polarity, t), strict=True):
        if array.ndim != 1:
            raise DataError(f"{path}: {key} has the shape {[*array.shape]}; needed: [n]")
    if len({len(x), len(y), len(polarity), len(t)}) != 1:
        raise DataError(f"{path} has t, x, y and p of different lengths; get it again")
    return Events(x, y, polarity=polarity, t=t)


def _recordings(source: EventSource, home: Path) -> Recordings:
    unfinished = home.with_name(f"{home.name}.building")
    if unfinished.exists():
        raise DataError(
            f"SpikingJelly did not finish {home}, as {unfinished} tells; delete both and let it "
            "write them again"
        )
    if not source.has_test_files:
        return Recordings(_listed(source, home, source.classes), [])
    numbers = [str(label) for label in range(len(source.classes))]
    return Recordings(*(_listed(source, home / part, numbers) for part in ("train", "test")))


def _listed(source: EventSource, home: Path, classes: Sequence[str]) -> list[Recording]:
    missing = f"{home} is SpikingJelly's layout, with a folder of .npz files for each class"
    return [
        Recording(Path(file.path), label, source.name(Path(file.name).stem, label))
        for label, name in enumerate(classes)
        for file in files_in(home / name, ".npz", missing)
    ]


def _whole(path: Path, key: str, array: NDArray[np.generic]) -> NDArray[np.int64]:
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: {key} is {array.dtype}; needed: whole numbers")
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise DataError(f"{path}: {key} has values that are no whole numbers; get it again")
    return array.astype(np.int64)
