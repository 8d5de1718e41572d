"""Frames that SpikingJelly made of events: ``frames_number_T_split_by_time|number/.../*.npz``.

Each file has one array ``frames`` [T, 2, H, W] of counts, OFF before ON, rows by y, as ours
(`integrate_events_by_fixed_frames_number` in `spikingjelly.datasets`, Fang 2023). Its windows are
not quite those of `spikenas.data.binning`: they have floor((t_last - t_first) / T) microseconds or
floor(n / T) events, and what is left over is in the last one.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikenas.data.binning import POLARITIES, Binning, shrunk
from spikenas.data.recordings import EventSource, Layout
from spikenas.data.spikingjelly_events import arrays_in, layout, places
from spikenas.exceptions import DataError

_FOLDER = re.compile(r"frames_number_([1-9]\d*)_split_by_(time|number)")
_BINNINGS: dict[str, Binning] = {"time": "time", "number": "count"}


class Frames(NamedTuple):
    """One folder of frames."""

    num_steps: int
    binning: Binning
    layout: Layout


def frame_folders(source: EventSource, folder: Path) -> list[Frames]:
    """Return the folders of frames, by number of steps."""
    found = []
    for place in places(source, folder):
        for home in place.glob("frames_number_*"):
            name = _FOLDER.fullmatch(home.name)
            theirs = layout(source, home, "SpikingJelly's frames")
            if name and theirs.is_there:
                found.append(Frames(int(name[1]), _BINNINGS[name[2]], theirs))
    return sorted(found, key=lambda each: (each.num_steps, each.layout.home))


def read_npz_frames(
    path: Path, num_steps: int, *, sensor: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Read frames of a recording at (H, W); raises DataError where they are none of the sensor."""
    (frames,) = arrays_in(path, ("frames",))
    if frames.shape != (num_steps, POLARITIES, *sensor):
        raise DataError(
            f"{path} has frames of the shape {[*frames.shape]}; needed: "
            f"[{num_steps}, {POLARITIES}, {sensor[0]}, {sensor[1]}], that is steps, OFF and ON, "
            "height and width of the camera; let SpikingJelly write it again"
        )
    if frames.min() < 0:
        raise DataError(
            f"{path} has frames with values from {frames.min()}; needed: counts of events, so "
            "none below 0"
        )
    if not frames.any():
        raise DataError(f"{path} has no event, so nothing in it tells its class; delete it")
    return shrunk(frames, size)
