"""`binned`: from events to T frames, so that a network of T steps can read them.

A frame counts events: F[k, p, y, x] is the number of events of polarity p (0 OFF, 1 ON) at column
x and row y in window k. A recording of n events at times t has the windows

    by time    k(i) = floor(T (t_i - t_first) / (t_last - t_first + 1)),  all equally long
    by count   k(i) = floor(T i / n) for the i-th event in time,  all equally full

to within one microsecond and one event. By time keeps how busy each moment is, and needs no
knowledge of the future but the length; by count (SpikingJelly's ``number``, which the published
results on CIFAR10-DVS and DVS128 Gesture take) gives a moving thing as many events a frame
whatever its speed. Every event is in one frame, also where there are fewer than T. Counts are
uint8 and end at 255.

A smaller frame adds up the events of its larger pixels: an event at column x goes to column
floor(x W' / W). Again none is lost, as where a chip sums over 2x2 pixels.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikenas.data.recordings import Events

Binning = Literal["time", "count"]
POLARITIES = 2


def binned(
    events: Events,
    num_steps: int,
    binning: Binning,
    *,
    sensor: tuple[int, int],
    size: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Return the frames [T, 2, H, W] of one recording.

    Args:
        events: on the sensor, of polarity 0 or 1.
        num_steps: T.
        binning: whether windows are equally long or equally full.
        sensor: its height and width.
        size: height and width of the frames, at most the sensor's and by default these.
    """
    height, width = size or sensor
    rows = events.y * height // sensor[0]
    columns = events.x * width // sensor[1]
    steps = _by_time(events.t, num_steps) if binning == "time" else _by_count(events.t, num_steps)
    cells = ((steps * POLARITIES + events.polarity) * height + rows) * width + columns  # [n]
    counts = np.bincount(cells, minlength=num_steps * POLARITIES * height * width)
    frames = np.minimum(counts, 255).astype(np.uint8)
    return frames.reshape(num_steps, POLARITIES, height, width)


def shrunk(counts: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return frames [..., H, W] at a smaller size, as if their events were binned to it."""
    for axis, length in ((-2, size[0]), (-1, size[1])):
        starts = -(-np.arange(length) * counts.shape[axis] // length)  # of its pixels, rounded up
        counts = np.add.reduceat(counts, starts, axis)
    return np.minimum(counts, 255).astype(np.uint8)


def _by_time(t: NDArray[np.int64], num_steps: int) -> NDArray[np.int64]:
    if not len(t):
        return t
    since = t - t.min()
    steps: NDArray[np.int64] = since * num_steps // (since.max() + 1)
    return steps


def _by_count(t: NDArray[np.int64], num_steps: int) -> NDArray[np.int64]:
    steps = np.arange(len(t)) * num_steps // max(len(t), 1)
    if np.all(t[1:] >= t[:-1]):
        return steps
    in_time = np.empty_like(steps)
    in_time[np.argsort(t, kind="stable")] = steps
    return in_time
