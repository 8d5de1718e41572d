"""The one door to tonic: its reader of AEDAT 4 files, the container of CIFAR10-DVS.

Tonic brings librosa and numba with it, so it is an optional extra, and importing it takes seconds;
import it only where a file is read. AEDAT 4 needs a decoder, ``aedat``, that tonic leaves out.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikenas.exceptions import DataError

INSTALL = "pip install 'spikenas[events]'"


def refuse_absence(data: str) -> None:
    """Raise DataError where tonic or the decoder is not installed; nothing is imported."""
    absent = [package for package in ("tonic", "aedat") if find_spec(package) is None]
    if absent:
        raise DataError(f"{data} is read by {' and '.join(absent)}, not installed here: {INSTALL}")


def read_aedat4(path: Path) -> NDArray[np.void]:
    """Return the events of a file, with the fields ``t`` (microseconds), ``x``, ``y``, ``p``."""
    from tonic.io import read_aedat4  # noqa: PLC0415  (as above)

    try:
        events: NDArray[np.void] = read_aedat4(str(path))
    except Exception as error:  # the decoder raises whatever it meets
        raise DataError(
            f"{path} cannot be read as AEDAT 4: {type(error).__name__}: {error}; "
            "delete it or get it again"
        ) from error
    return events
