"""N-MNIST: MNIST's digits, seen by a moving event camera of 34x34 pixels (Orchard 2015).

One file a recording, ``NMNIST/{Train,Test}/LABEL/ID.bin`` as tonic lays them out too. An event is
40 bits, big endian: 8 of x, 8 of y, 1 of polarity (1 is ON), 23 of the time in microseconds. One
of y = 240 is no event: all later times are 2^13 us later. How many files there are is not
prescribed, so a part of the set will do. ``Train`` and ``Test`` may be written in any case, and
where there is no ``NMNIST`` they may lie right in the folder.
"""

from pathlib import Path

import numpy as np

from spikenas.data.recordings import Events, Recording, Recordings, listed, recording
from spikenas.data.source import Survey
from spikenas.data.spikingjelly_events import events_np, parts_in, read_npz
from spikenas.exceptions import DataError

_BYTES = 5  # of one event
_OVERFLOW, _OVERFLOW_BITS = 240, 13


class NMnist:
    """The `EventSource` of ``nmnist``."""

    sensor = (34, 34)

    def survey(self, folder: Path, image_size: int | None) -> Survey:
        """Check that every class has recordings and that each is of whole events."""
        parts = self.recordings(folder)
        for path, _, size, _ in (*parts.train, *parts.test):
            if path.suffix.lower() == ".bin" and size % _BYTES:
                raise DataError(
                    f"{path} is truncated or damaged: {size} bytes are not whole events of "
                    f"{_BYTES} bytes; delete it or get it again"
                )
        return Survey(
            kind="events",
            channels=2,
            height=self.sensor[0],
            width=self.sensor[1],
            num_classes=10,
            num_train=len(parts.train),
            num_test=len(parts.test),
            mean=(0.0, 0.0),
            std=(1 / 255, 1 / 255),
            classes=self.classes(folder),
        )

    def recordings(self, folder: Path) -> Recordings:
        """List the files by label, then by name; where there are none, what SpikingJelly wrote."""
        theirs = events_np(folder, ("NMNIST",))
        if theirs is not None and not _home(folder, "Train").is_dir():
            return parts_in(theirs, 10)
        return Recordings(self._part(folder, "Train"), self._part(folder, "Test"))

    def classes(self, folder: Path) -> tuple[str, ...]:
        """Return the digits."""
        return tuple(map(str, range(10)))

    def read(self, path: Path) -> Events:
        """Read one recording."""
        if path.suffix.lower() == ".npz":
            return read_npz(path, self.sensor)
        content = np.fromfile(path, np.uint8)
        if len(content) % _BYTES:
            raise DataError(f"{path} changed while it was read; try again")
        x, y, high, middle, low = content.reshape(-1, _BYTES).T.astype(np.int64)  # [n] each
        t = (high & 0x7F) << 16 | middle << 8 | low
        overflows = y == _OVERFLOW
        t += np.cumsum(overflows) << _OVERFLOW_BITS
        real = ~overflows
        return Events(x[real], y[real], polarity=high[real] >> 7, t=t[real])

    def _part(self, folder: Path, part: str) -> list[Recording]:
        home = _home(folder, part).parent
        missing = (
            "N-MNIST has one folder a digit, each with .bin files. Get Train.zip and Test.zip "
            f"from https://data.mendeley.com/datasets/468j46mzdv and unpack them in {home}, or "
            "name the folder that has NMNIST with --data-root or SPIKENAS_DATA"
        )
        return [
            recording(file, label)
            for label in range(10)
            for file in listed(_cased(home, part) / str(label), ".bin", missing)
        ]


def _home(folder: Path, part: str) -> Path:
    """Return the folder of a part, in ``NMNIST`` or right in the data root."""
    home = folder / "NMNIST"
    if not home.is_dir() and _cased(folder, part).is_dir():
        home = folder
    return _cased(home, part)


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
