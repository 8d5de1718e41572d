import shutil

import numpy as np
import pytest
import torch
from event_recordings import nmnist_bytes, write_nmnist

from spikenas.data import DataSpec, describe, fingerprint, load
from spikenas.data.event_layouts import find
from spikenas.data.nmnist import NMnist
from spikenas.exceptions import DataError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A small N-MNIST, only to be read."""
    return write_nmnist(tmp_path_factory.mktemp("written"))


@pytest.fixture
def own(written, tmp_path):
    """A copy to be damaged."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path


def spec(root, **settings):
    return DataSpec(name="nmnist", root=str(root), **settings)


def test_the_40_bits_of_an_event_are_x_y_polarity_and_time(tmp_path):
    path = tmp_path / "00001.bin"
    path.write_bytes(bytes([0x0A, 0x21, 0x81, 0x02, 0x03, 0x00, 0x01, 0x7F, 0xFF, 0xFF]))

    read = NMnist().read(path)

    assert [column.tolist() for column in read] == [[10, 0], [33, 1], [1, 0], [0x010203, 0x7FFFFF]]


def test_the_hand_made_records_are_read_back(tmp_path):
    path = tmp_path / "00001.bin"
    path.write_bytes(nmnist_bytes([(33, 0, 1, 8_388_607), (5, 7, 0, 12)]))

    read = NMnist().read(path)

    assert [column.tolist() for column in read] == [[33, 5], [0, 7], [1, 0], [8_388_607, 12]]


def test_it_is_described_without_a_number_of_steps(written):
    info = describe(spec(written))

    assert info.input.kind == "events"
    assert (info.input.channels, info.input.height, info.input.width) == (2, 34, 34)
    assert (info.num_train, info.num_validation, info.num_test) == (54, 6, 20)
    assert info.num_classes == 10


def test_loading_without_a_number_of_steps_says_what_is_needed(written):
    with pytest.raises(DataError, match="num_steps is needed"):
        load(spec(written))


def test_loading_gives_frames_of_counts(written):
    splits = load(spec(written, num_steps=3))

    assert splits.train.images.shape == (54, 3, 2, 34, 34)
    assert splits.train.images.dtype == torch.uint8
    assert splits.test.labels.tolist() == sorted([*range(10)] * 2)
    frames, labels = next(splits.validation.batches(6))
    assert frames.shape == (6, 3, 2, 34, 34)
    assert frames.dtype == torch.float32
    assert frames.sum((1, 2, 3, 4)).tolist() == [60.0] * 6  # plain counts: each event is 1
    assert labels.shape == (6,)


def test_zero_stays_zero_and_counts_stay_whole(written):
    train = load(spec(written, num_steps=1)).train

    frames, _ = next(train.batches(54))

    assert torch.equal(frames, train.images.float())


def test_validation_is_held_out_and_the_test_part_is_the_files_own(written):
    first, second = (load(spec(written, num_steps=2, split_seed=seed)) for seed in (0, 1))

    parts = [{f.numpy().tobytes() for f in part.images} for part in (first.train, first.validation)]
    assert not parts[0] & parts[1]
    assert torch.equal(first.test.images, second.test.images)
    assert not torch.equal(first.validation.images, second.validation.images)


def test_a_smaller_size_loses_no_event(written):
    splits = load(spec(written, num_steps=2, image_size=16))

    assert splits.info.input.height == splits.train.images.shape[-1] == 16
    assert (splits.train.images.sum((1, 2, 3, 4)) == 60).all()


def test_a_larger_size_than_the_camera_s_is_refused(written):
    with pytest.raises(DataError, match=r"image_size = 64, but the events of nmnist have 34x34"):
        describe(spec(written, image_size=64))


def test_a_missing_folder_is_answered_with_how_to_get_it(tmp_path):
    with pytest.raises(DataError) as caught:
        describe(spec(tmp_path))

    assert str(tmp_path / "NMNIST" / "Train" / "0") in str(caught.value)
    assert "data.mendeley.com" in str(caught.value)


def test_an_empty_label_folder_is_named(own):
    for file in (own / "NMNIST" / "Test" / "3").iterdir():
        file.unlink()

    with pytest.raises(DataError, match=r"Test/3 has no file that ends in \.bin"):
        describe(spec(own))


@pytest.mark.parametrize(("kept", "found"), [(7, "7 bytes are not whole"), (0, "empty file")])
def test_a_truncated_file_is_named_before_anything_is_read(own, kept, found):
    path = own / "NMNIST" / "Train" / "4" / "00002.bin"
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(DataError, match=found) as caught:
        describe(spec(own))

    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("event", "axis"), [((34, 0, 0, 1), "x"), ((0, 239, 1, 1), "y")])
def test_events_beyond_the_camera_are_named_with_their_file(own, event, axis):
    path = own / "NMNIST" / "Test" / "9" / "00001.bin"
    path.write_bytes(nmnist_bytes([event]))

    with pytest.raises(DataError, match=f"00001.bin is damaged: its events have {axis} from"):
        load(spec(own, num_steps=2))


def test_an_overflow_is_no_event_and_delays_all_later_ones(tmp_path):
    path = tmp_path / "one.bin"
    path.write_bytes(nmnist_bytes([(1, 2, 1, 5), (0, 240, 0, 9), (3, 4, 0, 7)]))

    events = NMnist().read(path)

    assert events.x.tolist() == [1, 3]
    assert events.y.tolist() == [2, 4]
    assert events.t.tolist() == [5, 7 + 2**13]


def test_the_fingerprint_covers_the_files_that_are_there(own):
    before = fingerprint(spec(own))
    moved = own / "moved"
    shutil.copytree(own / "NMNIST", moved / "NMNIST")

    (own / "NMNIST" / "Train" / "0" / "00000.bin").unlink()

    assert fingerprint(spec(own)) != before
    assert fingerprint(spec(moved)) == before


@pytest.fixture(scope="module")
def real(nmnist):
    return {
        binning: load(spec(nmnist, num_steps=4, binning=binning)) for binning in ("time", "count")
    }


def test_the_real_recordings_are_all_there(real):
    for splits in real.values():
        sizes = (len(splits.train), len(splits.validation), len(splits.test))
        assert sizes == (900, 100, 100)
        assert torch.bincount(splits.train.labels).tolist() == pytest.approx([90] * 10, abs=20)


def test_no_event_of_the_real_recordings_is_lost(real, nmnist):
    num_events = sum(path.stat().st_size for path in nmnist.rglob("*.bin")) // 5

    for splits in real.values():
        parts = (splits.train, splits.validation, splits.test)
        assert sum(int(part.images.sum()) for part in parts) == num_events


def test_by_count_the_real_frames_are_equally_full(real):
    spread = {
        binning: (
            splits.test.images.sum((2, 3, 4)).max(1)[0]
            - splits.test.images.sum((2, 3, 4)).min(1)[0]
        ).max()
        for binning, splits in real.items()
    }

    assert spread["count"] <= 1
    assert spread["time"] > 100


def test_a_real_digit_looks_like_one(real):
    """The columns of a 1 are few: its events lie in a narrow band."""
    test = real["time"].test

    width = {
        digit: float(np.std(np.repeat(np.arange(34), profile)))
        for digit in (0, 1)
        for profile in [test.images[test.labels == digit].sum((0, 1, 2, 3)).numpy()]
    }

    assert width[1] < width[0]


@pytest.mark.parametrize("size", [104, 4095])
def test_what_a_mac_puts_beside_a_recording_is_none(own, size):
    before = find(NMnist(), own, "time")

    (own / "NMNIST" / "Train" / "0" / "._00000.bin").write_bytes(b"\0\5\x16\7" + bytes(size - 4))

    assert find(NMnist(), own, "time") == before


@pytest.mark.parametrize("layout", ["small letters", "in the root", "the folder itself"])
def test_the_parts_are_found_where_people_have_them(own, layout):
    root, home = own, own / "NMNIST"
    if layout == "the folder itself":
        root = home
    for part in ("Train", "Test"):
        if layout == "small letters":
            (home / part).rename(home / part.lower())
        elif layout == "in the root":
            (home / part).rename(own / part)
    if layout == "in the root":
        home.rmdir()

    info = describe(spec(root))

    assert (info.num_train, info.num_test) == (54, 20)


def test_a_part_that_is_there_twice_is_refused(own):
    (own / "NMNIST" / "train").mkdir()

    with pytest.raises(DataError, match="both Train and train"):
        describe(spec(own))


def test_a_recording_without_events_is_named(own):
    path = own / "NMNIST" / "Train" / "3" / "99999.bin"
    path.write_bytes(bytes([0, 240, 0, 0, 0]) * 3)

    with pytest.raises(DataError, match=r"99999\.bin has no events"):
        load(spec(own, num_steps=2))
