"""Frames that SpikingJelly made, where its events are not there."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from spikenas.data import DataSpec, content_sha256, describe, load
from spikenas.data.binning import binned, shrunk
from spikenas.data.recordings import Events
from spikenas.data.spikingjelly_frames import read_npz_frames
from spikenas.exceptions import DataError

SENSOR = (34, 34)


def recording(seed: int, n: int = 64) -> Events:
    rng = np.random.default_rng(seed)
    x, y, polarity = rng.integers(0, 34, n), rng.integers(0, 34, n), rng.integers(0, 2, n)
    return Events(x, y, polarity=polarity, t=np.arange(n) * 10)


def integrated(events: Events, num_steps: int, split_by: str) -> NDArray[np.float64]:
    """Return the frames of SpikingJelly's rule, by a plain loop over the events."""
    frames = np.zeros((num_steps, 2, *SENSOR))
    per_frame = len(events.t) // num_steps
    duration = (events.t[-1] - events.t[0]) // num_steps
    for i, (x, y, p, t) in enumerate(zip(*events, strict=True)):
        k = i // per_frame if split_by == "number" else (t - events.t[0]) // duration
        frames[min(k, num_steps - 1), p, y, x] += 1
    return frames


def write(root: Path, num_steps: int, split_by: str = "number", count: int = 3) -> Path:
    home = root / f"frames_number_{num_steps}_split_by_{split_by}"
    for part in ("train", "test"):
        for label in range(10):
            folder = home / part / str(label)
            folder.mkdir(parents=True)
            for i in range(count):
                events = recording(1000 * (part == "test") + 10 * label + i)
                frames = integrated(events, num_steps, split_by)
                np.savez_compressed(folder / f"{i:05}.npz", frames=frames)
    return home


def spec(root: Path, num_steps: int | None = None, **settings: object) -> DataSpec:
    named = {"binning": "count", **settings}
    return DataSpec(name="nmnist", root=str(root), num_steps=num_steps, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("home", ["", "NMNIST"])
@pytest.mark.parametrize("image_size", [None, 16])
def test_frames_are_what_the_events_would_be_binned_to_where_t_divides_their_number(
    tmp_path: Path, home: str, image_size: int | None
) -> None:
    write(tmp_path / home, 4)

    splits = load(spec(tmp_path, 4, image_size=image_size))
    size = (image_size or 34, image_size or 34)

    assert (len(splits.train), len(splits.validation), len(splits.test)) == (27, 3, 30)
    for row, seed in ((0, 1000), (29, 1092)):
        expected = binned(recording(seed), 4, "count", sensor=SENSOR, size=size)
        assert np.array_equal(splits.test.images[row].numpy(), expected)


def test_smaller_frames_are_those_of_events_binned_to_the_size_and_end_at_255() -> None:
    events = recording(0, 600)
    for size in (34, 33, 20, 17, 5):
        small = binned(events, 3, "time", sensor=SENSOR, size=(size, size))
        whole = binned(events, 3, "time", sensor=SENSOR).astype(np.int64)
        assert np.array_equal(shrunk(whole, (size, size)), small)
    assert shrunk(np.full((1, 2, 4, 4), 200), (2, 2)).max() == 255


def test_cifar10_dvs_has_frames_without_parts(tmp_path: Path) -> None:
    for name in ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship"):
        folder = tmp_path / "CIFAR10DVS" / "frames_number_2_split_by_time" / name
        folder.mkdir(parents=True)
        for i in range(10):
            frames = np.zeros((2, 2, 128, 128), np.float32)
            frames[:, 1, i] = i
            frames[:, 0, 0, 0] = 1
            np.savez(folder / f"cifar10_{name}_{i}.npz", frames=frames)
    shutil.copytree(folder, folder.with_name("truck"))

    splits = load(DataSpec(name="cifar10dvs", root=str(tmp_path), num_steps=2, image_size=32))

    assert (len(splits.train), len(splits.validation), len(splits.test)) == (81, 9, 10)
    assert splits.info.num_steps == (2,)
    assert "SpikingJelly's frames are read as they are, for num_steps = 2" in splits.info.notes[0]


@pytest.mark.parametrize(
    ("num_steps", "binning", "asked"),
    [
        (8, "count", "num_steps = 8 and --binning count"),
        (4, "time", "num_steps = 4 and --binning time"),
        (None, "time", "Needed: --binning time"),
    ],
)
def test_another_number_of_steps_or_binning_is_refused_with_what_there_is(
    tmp_path: Path, num_steps: int | None, binning: str, asked: str
) -> None:
    write(tmp_path, 4)
    write(tmp_path, 10)

    with pytest.raises(DataError) as caught:
        describe(spec(tmp_path, num_steps, binning=binning))

    assert asked in str(caught.value)
    assert (
        "num_steps = 4 with --binning count (frames_number_4_split_by_number), "
        "num_steps = 10 with --binning count (frames_number_10_split_by_number)"
    ) in str(caught.value)


def test_the_content_is_all_frames_of_the_binning_whatever_the_number_of_steps(
    tmp_path: Path,
) -> None:
    home = write(tmp_path, 2)
    write(tmp_path, 4)
    before = content_sha256(spec(tmp_path))
    assert content_sha256(spec(tmp_path, 2)) == content_sha256(spec(tmp_path, 4)) == before
    path = home / "test" / "3" / "00001.npz"

    np.savez(path, frames=integrated(recording(7), 2, "number"))

    assert content_sha256(spec(tmp_path, 4)) != before


@pytest.mark.parametrize("damage", ["fewer recordings", "unfinished", "in two places"])
def test_frames_for_other_steps_must_be_of_the_same_recordings(tmp_path: Path, damage: str) -> None:
    write(tmp_path, 2)
    home = write(tmp_path, 4)
    if damage == "fewer recordings":
        (home / "train" / "3" / "00001.npz").unlink()
    elif damage == "unfinished":
        home.with_name(f"{home.name}.building").touch()
    else:
        shutil.copytree(home, tmp_path / "NMNIST" / home.name)

    with pytest.raises(DataError, match="frames_number_4_split_by_number"):
        describe(spec(tmp_path, 2))


def test_frames_beside_the_events_are_passed_over(tmp_path: Path) -> None:
    home = write(tmp_path, 2, "time")
    for path in home.rglob("*.npz"):
        events = recording(int(path.stem))
        copy = tmp_path / "events_np" / path.relative_to(home)
        copy.parent.mkdir(parents=True, exist_ok=True)
        np.savez(copy, **dict(zip("xypt", events, strict=True)))

    splits = load(spec(tmp_path, 8))

    assert splits.train.images.shape[1] == 8
    assert splits.info.notes[0].endswith("split_by_time (SpikingJelly's frames)")


FRAMES = integrated(recording(0), 2, "time")


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"x": FRAMES}, "lacks frames and has x"),
        ({"frames": FRAMES[:, :1]}, r"the shape \[2, 1, 34, 34\]; needed: \[2, 2, 34, 34\]"),
        ({"frames": FRAMES[:1]}, r"the shape \[1, 2, 34, 34\]"),
        ({"frames": FRAMES.reshape(2, 34, 34, 2)}, r"the shape \[2, 34, 34, 2\]"),
        ({"frames": FRAMES - 1}, "values from -1"),
        ({"frames": FRAMES / 2}, "no whole numbers"),
        ({"frames": FRAMES * np.nan}, "no whole numbers"),
        ({"frames": FRAMES * 0}, "no event"),
        ({"frames": FRAMES.astype(complex)}, "frames is complex128"),
        ({"frames": FRAMES.astype(object)}, "truncated or damaged"),
    ],
)
def test_a_file_that_holds_no_such_frames_is_refused_by_name(
    tmp_path: Path, arrays: dict[str, NDArray[np.generic]], complaint: str
) -> None:
    path = tmp_path / "0.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    read: Callable[..., object] = read_npz_frames

    with pytest.raises(DataError, match=rf"0\.npz.*{complaint}"):
        read(path, 2, sensor=SENSOR, size=SENSOR)
