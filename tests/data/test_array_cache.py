import mmap
import os
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from event_recordings import nmnist_bytes, write_nmnist

from spikenas.data import DataSpec, load
from spikenas.data.array_cache import LabelledImages, cached_arrays
from spikenas.data.loading import _load

IMAGES = np.arange(3 * 2 * 2 * 4 * 4, dtype=np.uint8).reshape(3, 2, 2, 4, 4)
LABELS = np.array([4, 0, 9], np.int64)
CHECKSUM = np.array(zlib.crc32(LABELS, zlib.crc32(IMAGES)), np.uint32)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKENAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made():
    """Grows with each time that arrays are made."""
    return []


def arrays(made, **origin):
    def make():
        made.append(origin)
        return LabelledImages(IMAGES, LABELS)

    return cached_arrays("set", {"num_steps": 2, **origin}, make)


def are_whole(found):
    return np.array_equal(found.images, IMAGES) and np.array_equal(found.labels, LABELS)


def test_arrays_are_made_once(made):
    first, second = arrays(made), arrays(made)

    assert len(made) == 1
    assert are_whole(first)
    assert are_whole(second)


def test_images_are_pages_of_the_file_also_for_who_made_them(made):
    for found in (arrays(made), arrays(made)):
        assert isinstance(found.images.base, mmap.mmap)


def test_arrays_of_another_origin_are_others(made, folder):
    arrays(made)

    arrays(made, num_steps=4)
    arrays(made, binning="count")

    assert len(made) == 3
    assert len(list(folder.rglob("*.npy"))) == 3


def test_what_is_written_to_them_stays_out_of_the_cache(made):
    arrays(made)
    kept = arrays(made)

    kept.images[:] = 7

    assert are_whole(arrays(made))
    assert len(made) == 1


@pytest.mark.parametrize(
    "content", [b"", b"no array", b"PK\x03\x04 a zip", np.lib.format.magic(1, 0)]
)
def test_a_foreign_file_is_made_again(made, folder, content):
    arrays(made)
    (path,) = folder.rglob("*.npy")
    path.write_bytes(content)

    assert are_whole(arrays(made))
    assert are_whole(arrays(made))
    assert len(made) == 2


@pytest.mark.parametrize("end", [-1, -4, -132, -133, -200, 200, 129, 64])
def test_a_file_that_is_cut_off_is_made_again(made, folder, end):
    arrays(made)
    (path,) = folder.rglob("*.npy")
    path.write_bytes(path.read_bytes()[:end])

    assert are_whole(arrays(made))
    assert len(made) == 2


def test_a_single_wrong_byte_is_noticed_wherever_it_counts(folder):
    arrays([])
    (path,) = folder.rglob("*.npy")
    content = path.read_bytes()
    images, labels = content.index(IMAGES.tobytes()), content.index(LABELS.tobytes())

    for place in (images, images + IMAGES.nbytes - 1, labels, len(content) - 1):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        made = []
        assert are_whole(arrays(made))
        assert len(made) == 1


@pytest.mark.parametrize(
    "foreign",
    [
        [IMAGES],
        [IMAGES.astype(np.int64), LABELS, CHECKSUM],
        [np.asfortranarray(IMAGES), LABELS, CHECKSUM],
        [IMAGES, LABELS, CHECKSUM + 1],
    ],
)
def test_arrays_of_another_kind_are_made_again(made, folder, foreign):
    arrays(made)
    (path,) = folder.rglob("*.npy")
    with path.open("wb") as file:
        for each in foreign:
            np.save(file, each)

    assert are_whole(arrays(made))
    assert len(made) == 2


def test_a_pickle_in_the_cache_is_not_read(made, folder):
    arrays(made)
    (path,) = folder.rglob("*.npy")
    with path.open("wb") as file:
        np.save(file, IMAGES)
        np.save(file, np.array([{"an": "object"}]), allow_pickle=True)

    assert are_whole(arrays(made))
    assert len(made) == 2


def test_a_cache_that_cannot_be_written_costs_one_warning(made, folder):
    folder.mkdir()
    (folder / "data").write_text("a file where the folder should be")

    with pytest.warns(UserWarning, match="SPIKENAS_CACHE") as caught:
        first, second = arrays(made), arrays(made)

    assert len(caught) == 1
    assert len(made) == 2
    assert are_whole(first)
    assert are_whole(second)


def test_no_draft_is_left_behind(made, folder):
    arrays(made)

    (path,) = (path for path in folder.rglob("*") if path.is_file())

    assert path.suffix == ".npy"


def test_many_at_once_all_get_whole_arrays_that_are_made_once(made):
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: arrays(made), range(32)))

    assert all(are_whole(each) for each in found)
    assert len(made) == 1


def test_images_that_cannot_be_made_leave_nothing_and_are_tried_again(made, folder):
    def fail():
        raise ValueError("a damaged data set")

    with pytest.raises(ValueError, match="a damaged data set"):
        cached_arrays("set", {"num_steps": 2}, fail)

    assert not [path for path in folder.rglob("*") if path.is_file()]
    assert are_whole(arrays(made))


@pytest.mark.slow
def test_two_processes_share_one_file(tmp_path, folder):
    root = write_nmnist(tmp_path / "data", train=2, test=1)
    program = (
        "from spikenas.data import DataSpec, load; "
        f"s = load(DataSpec(name='nmnist', root={str(root)!r}, num_steps=2)); "
        "print(int(s.train.images.sum()))"
    )
    environment = {**os.environ, "SPIKENAS_CACHE": str(folder)}

    both = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program], env=environment, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]

    assert [int(each.communicate()[0]) for each in both] == [18 * 60] * 2
    assert len(list(folder.rglob("*.npy"))) == 1


def test_a_file_that_changed_is_binned_again(tmp_path):
    root = write_nmnist(tmp_path / "data", train=2, test=1)
    spec = DataSpec(name="nmnist", root=str(root), num_steps=2)
    before = load(spec).test.images
    path = root / "NMNIST" / "Test" / "0" / "00000.bin"
    path.write_bytes(nmnist_bytes([(0, 0, 1, t) for t in range(60)]))  # as long as before
    os.utime(path, (0, 0))
    _load.cache_clear()

    after = load(spec).test.images

    assert not torch.equal(before, after)
    assert int(after[0, :, 1, 0, 0].sum()) == 60


def test_a_set_from_the_cache_is_the_one_that_was_binned(tmp_path):
    spec = DataSpec(name="nmnist", root=str(write_nmnist(tmp_path / "data")), num_steps=3)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fresh = load(spec)
        _load.cache_clear()
        kept = load(spec)

    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(fresh, part).images, getattr(kept, part).images)
        assert torch.equal(getattr(fresh, part).labels, getattr(kept, part).labels)


@pytest.mark.parametrize("other", [{"train_subset": 20}, {"validation_fraction": 0.4}])
def test_another_cut_of_a_set_takes_the_same_file(tmp_path, folder, other):
    spec = DataSpec(name="nmnist", root=str(write_nmnist(tmp_path / "data")), num_steps=3)
    load(spec)

    load(replace(spec, **other))

    assert len(list(folder.rglob("*.npy"))) == 1


@pytest.mark.parametrize("other", [{"split_seed": 1}, {"image_size": 17}, {"num_steps": 2}])
def test_another_order_or_size_takes_another_file(tmp_path, folder, other):
    spec = DataSpec(name="nmnist", root=str(write_nmnist(tmp_path / "data")), num_steps=3)
    load(spec)

    load(replace(spec, **other))

    assert len(list(folder.rglob("*.npy"))) == 2


def test_digits_from_the_cache_need_no_scikit_learn(folder):
    program = (
        "import sys; from spikenas.data import DataSpec, load; load(DataSpec(name='digits')); "
        "print('sklearn' in sys.modules)"
    )

    told = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]

    assert [each.stdout.strip() for each in told] == ["True", "False"]
