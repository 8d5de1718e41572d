"""CIFAR10-DVS as ``.mat``: what its authors' MATLAB function ``dat2mat`` returns, saved.

A matrix of one row an event: time in microseconds since the first, x, y and polarity (Samadzadeh
2023 and those who build on its files name it ``out1``), or the same with two unused columns behind
the time, as the function was published. Its polarity is 1 for ON and -1 for OFF, which MATLAB keeps
as 0 beside a time without sign. It reads the address as jAER shows it, x from the right and y from
the bottom, not for a camera on its side; so that a recording is the same picture whatever file it
is read from, the column is 127 - y and the row is x, as in `spikenas.data.aedat2`.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikenas.data.mat_files import matrices_in
from spikenas.data.recordings import Events
from spikenas.exceptions import DataError

_MATRICES = ("out1", "event_data")
_COLUMNS = {4: (0, 1, 2, 3), 6: (0, 3, 4, 5)}  # of time, x, y and polarity
_LAST = 127  # the camera's last row and column
_LATEST = 1 << 50  # microseconds; exact in float64


def read_mat(path: Path) -> Events:
    """Read one recording of CIFAR10-DVS; raises DataError where it is none."""
    matrix = _matrix(path)
    if not (np.isfinite(matrix) & (matrix == np.floor(matrix))).all():
        raise _refusal(path, "values that are no whole numbers")
    t, x, y, polarity = (matrix[:, column] for column in _COLUMNS[matrix.shape[1]])
    if not len(t):
        raise DataError(f"{path} has no event, so nothing in it tells its class; delete it")
    for name, values, low, high in (
        ("time", t, 0, _LATEST),
        ("x", x, 0, _LAST),
        ("y", y, 0, _LAST),
        ("polarity", polarity, -1, 1),
    ):
        if not low <= values.min() <= values.max() <= high:
            raise _refusal(path, f"{name} from {values.min():g} to {values.max():g}")
    if polarity.min() == -1 and (polarity == 0).any():
        raise _refusal(path, "polarity of -1, 0 and 1")
    return Events(
        x=_LAST - y.astype(np.int64),
        y=x.astype(np.int64),
        polarity=(polarity > 0).astype(np.int64),
        t=t.astype(np.int64),
    )


def _matrix(path: Path) -> NDArray[np.float64]:
    found = matrices_in(path)
    for name in _MATRICES:
        matrix = found.get(name)
        if matrix is not None and matrix.ndim == 2 and matrix.shape[1] in _COLUMNS:
            return matrix.astype(np.float64)
    named = ", ".join(f"{name} {[*each.shape]}" for name, each in found.items())
    raise _refusal(path, named or "no matrix")


def _refusal(path: Path, found: str) -> DataError:
    return DataError(
        f"{path} has {found}; needed: what dat2mat.m returns, saved as {' or '.join(_MATRICES)}, "
        "a matrix of [time, x, y, polarity] or [time, -, -, x, y, polarity] with x and y from 0 to "
        f"{_LAST} and a polarity of 0 or -1 and 1. Use the published .aedat files instead"
    )
