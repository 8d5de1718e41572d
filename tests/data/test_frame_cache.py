import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from recordings import nmnist_bytes, write_nmnist

from spikenas.data import DataSpec, load
from spikenas.data.catalog import _load
from spikenas.data.frame_cache import cached_frames

SHAPE = (3, 2, 2, 4, 4)
FRAMES = np.arange(np.prod(SHAPE), dtype=np.uint8).reshape(SHAPE)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKENAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made():
    """Grows with each time that frames are made."""
    return []


def frames(made, **origin):
    def make():
        made.append(origin)
        return FRAMES

    return cached_frames("set-train", {"num_steps": 2, **origin}, SHAPE, make)


def test_frames_are_made_once(made):
    first, second = frames(made), frames(made)

    assert len(made) == 1
    assert (first == FRAMES).all()
    assert (second == FRAMES).all()


def test_frames_of_another_origin_are_others(made, folder):
    frames(made)

    frames(made, num_steps=4)
    frames(made, binning="count")

    assert len(made) == 3
    assert len(list(folder.rglob("*.npy"))) == 3


def test_what_is_written_to_them_stays_out_of_the_cache(made):
    frames(made)
    kept = frames(made)

    kept[:] = 7

    assert (frames(made) == FRAMES).all()


@pytest.mark.parametrize(
    "content", [b"", b"no array", b"PK\x03\x04 a zip", np.lib.format.magic(1, 0), None]
)
def test_a_damaged_file_is_made_again(made, folder, content):
    frames(made)
    (path,) = folder.rglob("*.npy")
    path.write_bytes(path.read_bytes()[:-1] if content is None else content)

    again = frames(made)

    assert len(made) == 2
    assert (again == FRAMES).all()
    assert (frames(made) == FRAMES).all()
    assert len(made) == 2


@pytest.mark.parametrize("foreign", [FRAMES[:2], FRAMES.astype(np.int64)])
def test_an_array_of_another_kind_is_made_again(made, folder, foreign):
    frames(made)
    (path,) = folder.rglob("*.npy")
    np.save(path, foreign)

    assert (frames(made) == FRAMES).all()
    assert len(made) == 2


def test_a_pickle_in_the_cache_is_not_read(made, folder):
    frames(made)
    (path,) = folder.rglob("*.npy")
    np.save(path, np.array([{"an": "object"}]), allow_pickle=True)

    assert (frames(made) == FRAMES).all()


def test_a_cache_that_cannot_be_written_costs_one_warning(made, folder):
    folder.write_text("a file where the folder should be")

    with pytest.warns(UserWarning, match="SPIKENAS_CACHE") as caught:
        first, second = frames(made), frames(made)

    assert len(caught) == 1
    assert len(made) == 2
    assert (first == FRAMES).all()
    assert (second == FRAMES).all()


def test_no_draft_is_left_behind(made, folder):
    frames(made)

    (path,) = (path for path in folder.rglob("*") if path.is_file())

    assert path.suffix == ".npy"


def test_many_at_once_all_get_whole_frames():
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: frames([]), range(32)))

    assert all((each == FRAMES).all() for each in found)


@pytest.mark.slow
def test_two_processes_bin_alike(tmp_path, folder):
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
    assert len(list(folder.rglob("*.npy"))) == 2


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
