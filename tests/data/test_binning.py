import numpy as np
import pytest
from event_recordings import events

from spikenas.data.binning import binned
from spikenas.data.recordings import Events

# Four events in the first tenth of the recording, two at its end.
UNEVEN = events(
    (0, 0, 1, 0), (1, 0, 1, 1), (2, 0, 0, 2), (0, 1, 1, 3), (1, 1, 1, 90), (2, 1, 0, 99)
)


def frames(given, num_steps, binning="time", sensor=(2, 3), size=None):
    return binned(given, num_steps, binning, sensor=sensor, size=size)


def many(n=5_000, *, seed=0, side=34):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, side, (2, n))
    return Events(x, y, polarity=rng.integers(0, 2, n), t=np.sort(rng.integers(7, 300_000, n)))


def looped(given, num_steps, binning, side):
    """The equations, one event after another."""
    counts = np.zeros((num_steps, 2, side, side), int)
    first, last = given.t.min(), given.t.max()
    for i, (x, y, p, t) in enumerate(zip(*given, strict=True)):
        if binning == "time":
            k = int(num_steps * (int(t) - int(first)) / (int(last) - int(first) + 1))
        else:
            k = num_steps * i // len(given.t)
        counts[k, p, y, x] += 1
    return counts


def test_by_time_the_windows_are_equally_long():
    found = frames(UNEVEN, 2)

    assert found.sum((1, 2, 3)).tolist() == [4, 2]
    assert found[0].tolist() == [[[0, 0, 1], [0, 0, 0]], [[1, 1, 0], [1, 0, 0]]]
    assert found[1].tolist() == [[[0, 0, 0], [0, 0, 1]], [[0, 0, 0], [0, 1, 0]]]


def test_by_count_the_windows_are_equally_full():
    found = frames(UNEVEN, 2, "count")

    assert found.sum((1, 2, 3)).tolist() == [3, 3]
    assert found[0].tolist() == [[[0, 0, 1], [0, 0, 0]], [[1, 1, 0], [0, 0, 0]]]


def test_the_first_polarity_is_off():
    off, on = frames(events((0, 0, 0, 5)), 1)[0]

    assert (off.sum(), on.sum()) == (1, 0)


@pytest.mark.parametrize("binning", ["time", "count"])
@pytest.mark.parametrize("num_steps", [1, 3, 16])
def test_frames_are_what_the_equations_say(binning, num_steps):
    given = many(1_000, side=5)

    found = frames(given, num_steps, binning, (5, 5))

    assert found.dtype == np.uint8
    assert (found == looped(given, num_steps, binning, 5)).all()


@pytest.mark.parametrize("binning", ["time", "count"])
@pytest.mark.parametrize("side", [34, 32, 17, 5])
def test_no_event_is_lost_at_any_size(binning, side):
    found = frames(many(), 7, binning, (34, 34), (side, side))

    assert found.shape == (7, 2, side, side)
    assert found.sum() == 5_000


def test_half_the_size_adds_up_four_pixels():
    given = many(4_000)
    whole = frames(given, 3, "time", (34, 34)).astype(int)

    half = frames(given, 3, "time", (34, 34), (17, 17))

    assert (half == whole.reshape(3, 2, 17, 2, 17, 2).sum((3, 5))).all()


@pytest.mark.parametrize("binning", ["time", "count"])
def test_fewer_events_than_steps_leave_frames_empty(binning):
    found = frames(events((0, 0, 1, 10), (1, 1, 0, 20)), 8, binning)

    assert found.sum() == 2
    assert sorted(found.sum((1, 2, 3)).tolist()) == [0] * 6 + [1] * 2


@pytest.mark.parametrize("binning", ["time", "count"])
def test_a_recording_without_events_is_empty_frames(binning):
    found = frames(events(), 4, binning)

    assert found.shape == (4, 2, 2, 3)
    assert not found.any()


def test_events_at_one_moment_are_in_the_first_window():
    found = frames(events((0, 0, 1, 5), (1, 0, 1, 5)), 4)

    assert found.sum((1, 2, 3)).tolist() == [2, 0, 0, 0]


def test_a_count_ends_at_255():
    found = frames(events(*[(1, 1, 1, t) for t in range(300)]), 1)

    assert found.max() == 255


def test_the_order_in_the_file_does_not_matter():
    given = many(900, side=5)._replace(t=np.arange(900))
    shuffled = Events(*(column[np.random.default_rng(1).permutation(900)] for column in given))

    for binning in ("time", "count"):
        sorted_, mixed = (frames(e, 4, binning, (5, 5)) for e in (given, shuffled))
        assert (sorted_ == mixed).all()
