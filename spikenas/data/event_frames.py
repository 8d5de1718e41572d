"""`read_frames`: all recordings of an event data set as frames."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikenas.data.binning import POLARITIES, Binning, binned
from spikenas.data.event_layouts import find
from spikenas.data.recordings import Events, EventSource, Recording
from spikenas.data.source import Arrays
from spikenas.data.spikingjelly_frames import read_npz_frames
from spikenas.exceptions import DataError


def read_frames(
    source: EventSource,
    folder: Path,
    *,
    num_steps: int,
    binning: Binning,
    size: tuple[int, int],
) -> Arrays:
    """Return frames [N, T, 2, H, W] and labels [N] of both parts; ``size`` is (H, W)."""
    found = find(source, folder, binning, num_steps)

    def frames_of(path: Path) -> NDArray[np.uint8]:
        if found.frames:
            return read_npz_frames(path, num_steps, sensor=source.sensor, size=size)
        events = source.read(path)
        _check(path, events, source.sensor)
        return binned(events, num_steps, binning, sensor=source.sensor, size=size)

    make = partial(_frames, frames_of=frames_of, shape=(num_steps, POLARITIES, *size))
    train, test = found.recordings
    return Arrays(make(train), _labels(train), make(test), _labels(test))


def _labels(recordings: Sequence[Recording]) -> NDArray[np.int64]:
    return np.array([each.label for each in recordings], np.int64)


def _frames(
    recordings: Sequence[Recording],
    *,
    frames_of: Callable[[Path], NDArray[np.uint8]],
    shape: tuple[int, ...],
) -> NDArray[np.uint8]:
    frames = np.empty((len(recordings), *shape), np.uint8)

    def fill(row: int) -> None:
        frames[row] = frames_of(recordings[row].path)

    with ThreadPoolExecutor() as threads:  # files are waited for and decoded side by side
        for _ in threads.map(fill, range(len(recordings))):
            pass
    return frames


def _check(path: Path, events: Events, sensor: tuple[int, int]) -> None:
    if not len(events.t):
        raise DataError(
            f"{path} has no events, so nothing tells its class; delete it or get it again"
        )
    for axis, values, size in (
        ("x", events.x, sensor[1]),
        ("y", events.y, sensor[0]),
        ("polarity", events.polarity, POLARITIES),
    ):
        if len(values) and not 0 <= values.min() <= values.max() < size:
            raise DataError(
                f"{path} is damaged: its events have {axis} from {values.min()} to "
                f"{values.max()}, but there are 0 to {size - 1}; get the file again"
            )
