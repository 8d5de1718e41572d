"""Recordings as SpikingJelly keeps them: ``events_np/.../*.npz`` with the arrays t, x, y and p.

Its loaders write them from the original files (`spikingjelly.datasets`, Fang 2023): times in
microseconds, polarity 1 where the light rose. The folder lies in the data root, or in a folder of
the data set there.
"""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikenas.data.recordings import Events, Recording, Recordings, listed, recording
from spikenas.exceptions import DataError

_KEYS = ("x", "y", "p", "t")


def events_np(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the folder ``events_np`` of a data root, if there is one in any of the places."""
    places = [folder / "events_np", *(folder / name / "events_np" for name in names)]
    return next((place for place in places if place.is_dir()), None)


def recordings_in(home: Path, classes: Sequence[str]) -> Iterator[Recording]:
    """Yield the files of a folder that has one folder a class."""
    for label, name in enumerate(classes):
        missing = f"{home} is SpikingJelly's layout, with a folder of .npz files for each class"
        for file in listed(home / name, ".npz", missing):
            yield recording(file, label)


def parts_in(home: Path, num_classes: int) -> Recordings:
    """List the folders ``train`` and ``test``, whose classes are numbered."""
    labels = [str(label) for label in range(num_classes)]
    train, test = (list(recordings_in(home / part, labels)) for part in ("train", "test"))
    return Recordings(train, test)


def read_npz(path: Path, sensor: tuple[int, int]) -> Events:
    """Read one recording; raises DataError where it is none."""
    try:
        arrays = np.load(path, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise DataError(f"{path} is one array and no .npz of several; get it again")
        with arrays:
            absent = [key for key in _KEYS if key not in arrays.files]
            if absent:
                raise DataError(
                    f"{path} lacks {', '.join(absent)} and has {', '.join(arrays.files) or 'none'};"
                    " needed: the arrays t, x, y and p of events (SpikingJelly's frames are not "
                    "read, since each candidate has its own number of steps)"
                )
            x, y, polarity, t = (_whole(path, key, arrays[key]) for key in _KEYS)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path} is truncated or damaged: {error}; delete it or get it again"
        ) from error
    if len({len(x), len(y), len(polarity), len(t)}) != 1:
        raise DataError(f"{path} has t, x, y and p of different lengths; get it again")
    if not len(t):
        raise DataError(f"{path} has no event, so nothing in it tells its class; delete it")
    for name, values, size in (("x", x, sensor[1]), ("y", y, sensor[0]), ("p", polarity, 2)):
        if not 0 <= values.min() <= values.max() < size:
            raise DataError(
                f"{path} has {name} from {values.min()} to {values.max()}; needed: 0 to {size - 1}"
            )
    return Events(x, y, polarity=polarity, t=t)


def _whole(path: Path, key: str, array: NDArray[np.generic]) -> NDArray[np.int64]:
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise DataError(
            f"{path}: {key} is {array.dtype} {[*array.shape]}; needed: whole numbers [n]"
        )
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise DataError(f"{path}: {key} has values that are no whole numbers; get it again")
    return array.astype(np.int64)
