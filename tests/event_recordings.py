"""Event recordings made by hand, in the formats of the data sets."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from spikenas.data.recordings import Events

Event = tuple[int, int, int, int]  # x, y, polarity, microseconds


def events(*given: Event) -> Events:
    """Return the events as a source reads them."""
    return Events(*np.array(given, np.int64).reshape(-1, 4).T)


def nmnist_bytes(given: Iterable[Event]) -> bytes:
    """Return the 40 bits of each event as N-MNIST has them."""
    return b"".join(
        (x << 32 | y << 24 | polarity << 23 | t).to_bytes(5, "big") for x, y, polarity, t in given
    )


def write_nmnist(root: Path, *, train: int = 6, test: int = 2, num_events: int = 60) -> Path:
    """Write so many recordings of each digit: digit d is a blob about column 3 d + 3."""
    rng = np.random.default_rng(0)
    for part, count in (("Train", train), ("Test", test)):
        for label in range(10):
            folder = root / "NMNIST" / part / str(label)
            folder.mkdir(parents=True)
            for i in range(count):
                x = rng.integers(3 * label, 3 * label + 7, num_events)
                y = rng.integers(10, 24, num_events)
                polarity = rng.integers(0, 2, num_events)
                t = np.sort(rng.integers(0, 300_000, num_events))
                rows = np.stack((x, y, polarity, t), axis=1).tolist()
                (folder / f"{i:05}.bin").write_bytes(nmnist_bytes(rows))
    return root
