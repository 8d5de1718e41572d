import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from spikenas.data import DataSpec, describe, load
from spikenas.data.dvs128 import Dvs128
from spikenas.data.event_frames import read_frames
from spikenas.data.event_layouts import find
from spikenas.data.event_sets import EVENT_SETS
from spikenas.exceptions import DataError

GOLDEN = Path(__file__).parents[1] / "golden" / "six_events.aedat4"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
needs_tonic = pytest.mark.skipif(
    find_spec("tonic") is None or find_spec("aedat") is None, reason="spikenas[events]"
)


@pytest.fixture
def gestures(tmp_path):
    """DVS128 Gesture as tonic lays it out: events in the corner that bears the label."""
    for part, users in (("Train", 4), ("Test", 1)):
        for user in range(users):
            folder = tmp_path / "DVSGesture" / f"ibmGesture{part}" / f"user{user:02}_led"
            folder.mkdir(parents=True)
            for label in range(11):
                rows = [(label, 127, t % 2, t) for t in range(20)]  # x, y, polarity, milliseconds
                np.save(folder / f"{label}.npy", np.array(rows, np.float64))
    return tmp_path


@pytest.fixture
def cifar(tmp_path):
    """CIFAR10-DVS as tonic lays it out, of one recording over and over."""
    for name in CLASSES:
        folder = tmp_path / "CIFAR10DVS" / name
        folder.mkdir(parents=True)
        for i in range(10):
            (folder / f"cifar10_{name}_{i}.aedat4").write_bytes(GOLDEN.read_bytes())
    return tmp_path


@pytest.fixture
def stand_in(monkeypatch):
    """A tonic that reads six events from any file, further right from one that ends in a 1."""
    fields = [("t", "u8"), ("x", "u2"), ("y", "u2"), ("p", "?")]

    def read(path):
        left = 11 if Path(path).read_bytes().endswith(b"1") else 10
        rows = [(1000 + 100 * i, left + i, 20 + i, i % 2 == 0) for i in range(6)]
        return np.array(rows, fields)

    modules = {name: ModuleType(name) for name in ("tonic", "tonic.io", "aedat")}
    modules["tonic.io"].read_aedat4 = read
    for name, module in modules.items():
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)


def test_gestures_are_read_with_the_labels_of_their_files(gestures):
    splits = load(DataSpec(name="dvs128", root=str(gestures), num_steps=4, binning="count"))

    assert (len(splits.train), len(splits.validation), len(splits.test)) == (40, 4, 11)
    assert splits.test.labels.tolist() == [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]  # by name
    label = int(splits.test.labels[2])
    assert splits.test.images[2, :, :, 127, label].tolist() == [[3, 2], [2, 3], [3, 2], [2, 3]]
    assert int(splits.test.images[2].sum()) == 20


def test_gestures_are_described_as_a_camera_of_128_pixels(gestures):
    info = describe(DataSpec(name="dvs128", root=str(gestures)))

    assert (info.input.kind, info.input.height, info.num_classes) == ("events", 128, 11)


@pytest.mark.parametrize("damage", [lambda content: content[:-9], lambda _: b"PK\x03\x04 a zip"])
def test_a_damaged_gesture_is_named(gestures, damage):
    path = gestures / "DVSGesture" / "ibmGestureTest" / "user00_led" / "3.npy"
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(DataError, match=r"3\.npy is truncated or damaged"):
        load(DataSpec(name="dvs128", root=str(gestures), num_steps=2))


def test_a_file_that_is_no_gesture_is_named(gestures):
    folder = gestures / "DVSGesture" / "ibmGestureTrain" / "user00_led"
    (folder / "3.npy").rename(folder / "11.npy")

    with pytest.raises(DataError, match=r"11\.npy is not named for a gesture, 0.npy to 10.npy"):
        describe(DataSpec(name="dvs128", root=str(gestures)))


@pytest.mark.parametrize(("name", "kind"), [("dvs128", "DVSGesture"), ("cifar10dvs", "CIFAR10DVS")])
def test_missing_files_are_answered_with_how_to_get_them(tmp_path, name, kind):
    with pytest.raises(DataError) as caught:
        describe(DataSpec(name=name, root=str(tmp_path)))

    assert "pip install 'spikenas[events]'" in str(caught.value)
    assert f"from tonic.datasets import {kind}" in str(caught.value)
    assert str(tmp_path / kind) in str(caught.value)


def test_without_tonic_the_extra_is_named(cifar, monkeypatch):
    monkeypatch.setattr("spikenas.data.tonic_door.find_spec", lambda name: None)

    with pytest.raises(DataError, match=r"tonic and aedat.* pip install 'spikenas\[events\]'"):
        describe(DataSpec(name="cifar10dvs", root=str(cifar)))


@pytest.mark.usefixtures("stand_in")
def test_recordings_that_are_all_equal_are_refused(cifar):
    with pytest.raises(DataError, match="all 100 recordings are equal"):
        load(DataSpec(name="cifar10dvs", root=str(cifar), num_steps=3))


@pytest.mark.usefixtures("stand_in")
def test_a_tenth_of_cifar10_dvs_is_held_out_to_be_tested(cifar):
    (cifar / "CIFAR10DVS" / "cat" / "cifar10_cat_0.aedat4").write_bytes(b"1")
    splits = load(DataSpec(name="cifar10dvs", root=str(cifar), num_steps=3))

    assert (len(splits.train), len(splits.validation), len(splits.test)) == (81, 9, 10)
    assert torch.bincount(splits.test.labels).tolist() == [1] * 10
    assert splits.test.images.sum((1, 2, 3, 4)).tolist() == [6] * 10


@needs_tonic
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_tonic_reads_the_six_events_of_a_real_file(cifar):
    source = EVENT_SETS["cifar10dvs"]
    frames = read_frames(source, cifar, num_steps=3, binning="time", size=(128, 128))

    sample = torch.from_numpy(frames.train_images[0])
    assert sample.nonzero().tolist() == [
        [i // 2, (i + 1) % 2, 20 + i, 10 + i] for i in (1, 0, 3, 2, 5, 4)
    ]


@needs_tonic
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_file_that_tonic_cannot_read_is_named(cifar):
    path = cifar / "CIFAR10DVS" / "cat" / "cifar10_cat_3.aedat4"
    path.write_bytes(b"no AEDAT")

    with pytest.raises(DataError, match=r"cat_3\.aedat4 cannot be read as AEDAT 4"):
        load(DataSpec(name="cifar10dvs", root=str(cifar), num_steps=3))


ROWS = np.array([(5, 127, t % 2, 200 + t) for t in range(20)], np.float64)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((12, 5)), r"the shape \[12, 5\]"),
        (ROWS.T, r"the shape \[4, 20\]"),
        (ROWS.reshape(-1), r"the shape \[80\]"),
        (np.full((10, 4), np.nan), "no whole numbers"),
        (ROWS + 0.5, "no whole numbers"),
        (ROWS * 1e30, "too large"),
        (ROWS[:, [3, 0, 1, 2]], "x from 200 to 219"),
        (ROWS[:, [0, 1, 3, 2]], "polarity from 200 to 219"),
        (ROWS - [0, 0, 1, 0] + [0, 0, 3, 0], "polarity from 2 to 3"),
        (ROWS.astype(complex), "values of complex128"),
        (np.zeros((0, 4)), "no events"),
    ],
)
def test_an_array_of_another_layout_is_named_and_never_reshaped(gestures, array, found):
    path = gestures / "DVSGesture" / "ibmGestureTrain" / "user01_led" / "5.npy"
    np.save(path, array)

    with pytest.raises(DataError, match=rf"user01_led/5\.npy .*{found}"):
        load(DataSpec(name="dvs128", root=str(gestures), num_steps=2))


def test_a_polarity_of_minus_one_is_off(tmp_path):
    signed = ROWS.copy()
    signed[:, 2] = signed[:, 2] * 2 - 1
    np.save(tmp_path / "0.npy", ROWS)
    np.save(tmp_path / "1.npy", signed)

    plain, read = (Dvs128().read(tmp_path / name) for name in ("0.npy", "1.npy"))

    assert read.polarity.tolist() == plain.polarity.tolist()


def test_empty_and_hidden_folders_among_the_users_are_passed_over(gestures):
    before = find(Dvs128(), gestures, "time").recordings
    home = gestures / "DVSGesture" / "ibmGestureTrain"

    (home / "user99_led").mkdir()
    (home / "__MACOSX").mkdir()
    (home / "__MACOSX" / "0.npy").write_bytes(b"\0\5\x16\7")
    (home / "user01_led" / "._0.npy").write_bytes(b"\0\5\x16\7")

    assert find(Dvs128(), gestures, "time").recordings == before


def test_a_gesture_that_a_part_lacks_is_named(gestures):
    (gestures / "DVSGesture" / "ibmGestureTest" / "user00_led" / "7.npy").unlink()

    with pytest.raises(DataError, match=r"ibmGestureTest has no recording of 7\.npy"):
        describe(DataSpec(name="dvs128", root=str(gestures)))


@pytest.mark.parametrize(("name", "number"), [("dvs128", 11), ("cifar10dvs", 10), ("nmnist", 10)])
def test_every_class_has_a_name(name, number):
    assert len(set(EVENT_SETS[name].classes)) == number
