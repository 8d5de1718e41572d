"""N-MNIST: MNIST's digits, seen by a moving event camera of 34x34 pixels (Orchard 2015).

One file a recording, ``NMNIST/{Train,Test}/LABEL/ID.bin`` as tonic lays them out too. An event is
40 bits, big endian: 8 of x, 8 of y, 1 of polarity (1 is ON), 23 of the time in microseconds. One
of y = 240 is no event: all later times are 2^13 us later. How many files there are is not
prescribed, so a part of the set will do. ``Train`` and ``Test`` may be written in any case, and
where there is no ``NMNIST`` they may lie right in the folder.
"""

from functools import partial
from pathlib import Path

import numpy as np

from spikenas.data.recordings import Events, Layout, Recording, Recordings, files_in
from spikenas.data.spikingjelly_events import read_npz
from spikenas.exceptions import DataError

_BYTES = 5  # of one event
_OVERFLOW, _OVERFLOW_BITS = 240, 13


class NMnist:
    """The `EventSource` of ``nmnist``."""

    sensor = (34, 34)
    classes: tuple[str, ...] = tuple(map(str, range(10)))
    homes: tuple[str, ...] = ("NMNIST",)
    has_test_files = True

    def layouts(self, folder: Path) -> list[Layout]:
        """Return the one layout, by label and then by name."""
        home = _home(folder)
        is_there = any(_cased(home, part).is_dir() for part in ("Train", "Test"))
        return [Layout(home, "N-MNIST's .bin files", is_there, partial(_listed, home))]

    def name(self, stem: str, label: int) -> str:
        """Return the stem, which SpikingJelly keeps."""
        return stem

    def check_readable(self, recordings: Recordings) -> None:
        """Nothing else is needed."""

    def read(self, path: Path) -> Events:
        """Read one recording."""
        if path.suffix.lower() == ".npz":
            return read_npz(path)
        content = np.fromfile(path, np.uint8)
        if len(content) % _BYTES:
            raise DataError(f"{path} changed while it was read; try again")
        x, y, high, middle, low = content.reshape(-1, _BYTES).T.astype(np.int64)  # [n] each
        t = (high & 0x7F) << 16 | middle << 8 | low
        overflows = y == _OVERFLOW
        t += np.cumsum(overflows) << _OVERFLOW_BITS
        real = ~overflows
        return Events(x[real], y[real], polarity=high[real] >> 7, t=t[real])


def _listed(home: Path) -> Recordings:
    return Recordings(_part(home, "Train"), _part(home, "Test"))


def _part(home: Path, part: str) -> list[Recording]:
    missing = (
        "N-MNIST has one folder a digit, each with .bin files. Get Train.zip and Test.zip "
        f"from https://data.mendeley.com/datasets/468j46mzdv and unpack them in {home}, or "
        "name the folder that has NMNIST with --data-root or SPIKENAS_DATA"
    )
    found = []
    for label in range(10):
        for file in files_in(_cased(home, part) / str(label), ".bin", missing):
            size = file.stat().st_size
            if size % _BYTES:
                raise DataError(
                    f"{file.path} is truncated or damaged: {size} bytes are not whole events of "
                    f"{_BYTES} bytes; delete it or get it again"
                )
            found.append(Recording(Path(file.path), label, Path(file.name).stem))
    return found


def _home(folder: Path) -> Path:
    """Return the folder of both parts: ``NMNIST``, or the data root."""
    home = folder / "NMNIST"
    return folder if not home.is_dir() and _cased(folder, "Train").is_dir() else home


def _cased(home: Path, part: str) -> Path:
    """Return the folder of a part, however its name is written."""
    found = sorted(
        path
        for path in (home.iterdir() if home.is_dir() else ())
        if path.name.lower() == part.lower() and path.is_dir()
    )
    if len(found) > 1:
        raise DataError(
            f"{home} has both {' and '.join(path.name for path in found)}; leave one of them"
        )
    return found[0] if found else home / part
