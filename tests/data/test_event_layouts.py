"""Event data in the layouts of others: SpikingJelly's, and AEDAT 2 as it was published."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from event_recordings import write_nmnist

from spikenas.data import DataSpec, content_sha256, describe, load
from spikenas.data.aedat2 import read_aedat2
from spikenas.data.cifar10dvs import Cifar10Dvs
from spikenas.data.spikingjelly_events import read_npz
from spikenas.exceptions import DataError

CIFAR = Cifar10Dvs.classes


def save(path: Path, **changes: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    n = np.arange(40)
    arrays = {"t": n * 1000, "x": n % 30, "y": n // 2, "p": n % 2}
    np.savez(path, **(arrays | changes))  # type: ignore[arg-type]


def spec(name: str, root: Path) -> DataSpec:
    return DataSpec(name=name, root=str(root), num_steps=2, image_size=16)


@pytest.mark.parametrize(("name", "home"), [("dvs128", "DVS128Gesture"), ("nmnist", "NMNIST")])
@pytest.mark.parametrize("is_right_in_the_root", [True, False])
def test_events_as_spikingjelly_keeps_them_are_read(
    tmp_path: Path, name: str, home: str, is_right_in_the_root: bool
) -> None:
    root = tmp_path if is_right_in_the_root else tmp_path / home
    for part, count in (("train", 3), ("test", 1)):
        for label in range(11 if name == "dvs128" else 10):
            for i in range(count):
                save(root / "events_np" / part / str(label) / f"{i}.npz", x=np.full(40, label))

    splits = load(spec(name, tmp_path))

    assert len(splits.test) == len(splits.test.labels.unique()) == splits.info.num_classes
    assert int(splits.test.images[0].sum()) == 40


def test_cifar10_dvs_as_spikingjelly_keeps_it_is_read(tmp_path: Path) -> None:
    for name in CIFAR:
        for i in range(3):
            save(tmp_path / "events_np" / name / f"cifar10_{name}_{i}.npz")

    info = describe(spec("cifar10dvs", tmp_path))

    assert (info.num_train + info.num_validation + info.num_test, info.classes) == (30, CIFAR)


def aedat2(path: Path, events: list[tuple[int, int, int, int]]) -> None:
    """Write events of x, y, polarity and time as the camera on its side would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    words = [
        word for x, y, p, t in events for word in ((127 - x) << 8 | (127 - y) << 1 | (1 - p), t)
    ]
    header = b"#!AER-DAT2.0\r\n# of a test\r\n"
    path.write_bytes(header + np.array(words, ">u4").tobytes())


def test_cifar10_dvs_as_it_was_published_is_read(tmp_path: Path) -> None:
    events = [(0, 127, 1, 5), (100, 3, 0, 70_000)]
    for label, name in enumerate(CIFAR):
        for i in range(10):
            last = (50, label, 1, 80_000)
            aedat2(tmp_path / "CIFAR10DVS" / name / f"{i}.aedat", [*events, last])

    read = read_aedat2(tmp_path / "CIFAR10DVS" / "cat" / "0.aedat")
    splits = load(DataSpec(name="cifar10dvs", root=str(tmp_path), num_steps=2))

    assert [tuple(event) for event in np.stack(read, 1).tolist()] == [*events, (50, 3, 1, 80_000)]
    assert splits.test.images[0, 0, 1, 127, 0] == 1
    assert splits.test.images[0, 1, 0, 3, 100] == 1


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (lambda path: save(path, t=np.arange(39)), "different lengths"),
        (lambda path: save(path, y=np.full(40, np.nan)), "no whole numbers"),
        (lambda path: save(path, y=np.zeros((40, 2))), r"y has the shape \[40, 2\]"),
        (lambda path: np.savez(path, frames=np.zeros((4, 2, 8, 8))), "lacks x, y, p, t"),
        (lambda path: path.write_bytes(b"PK no archive"), "truncated or damaged"),
    ],
)
def test_a_file_that_holds_no_events_is_refused_by_name(
    tmp_path: Path, write: Callable[[Path], None], complaint: str
) -> None:
    path = tmp_path / "0.npz"
    write(path)

    with pytest.raises(DataError, match=rf"0\.npz.*{complaint}"):
        read_npz(path)


@pytest.mark.parametrize("content", [b"", b"#!AER-DAT4.0\r\n12345678", b"#!AER-DAT2.0\r\n123"])
def test_a_file_that_is_no_aedat_2_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "0.aedat"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"0\.aedat"):
        read_aedat2(path)


def spikingjelly(root: Path, name: str = "nmnist", count: int = 3) -> Path:
    """Write ``events_np`` with the names of the recordings of `write_nmnist`."""
    classes = CIFAR if name == "cifar10dvs" else map(str, range(10))
    parts = ("",) if name == "cifar10dvs" else ("train", "test")
    for label in classes:
        for part in parts:
            for i in range(count):
                stem = f"cifar10_{label}_{i}" if name == "cifar10dvs" else f"{i:05}"
                save(root / "events_np" / part / label / f"{stem}.npz")
    return root / "events_np"


def test_two_layouts_of_the_same_recordings_are_told_and_the_original_is_read(
    tmp_path: Path,
) -> None:
    write_nmnist(tmp_path, train=3, test=3)
    alone = content_sha256(spec("nmnist", tmp_path))
    copy = spikingjelly(tmp_path)

    info = describe(spec("nmnist", tmp_path))

    assert content_sha256(spec("nmnist", tmp_path)) == alone
    assert info.notes == (
        f"{tmp_path / 'NMNIST'} (N-MNIST's .bin files) is read; passed over, with the same 60 "
        f"recordings by class and name: {copy} (SpikingJelly's events)",
    )


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda copy: (copy / "train" / "4" / "00002.npz").unlink(), "only the first has '00002'"),
        (lambda copy: save(copy / "test" / "4" / "7.npz"), "only the second has '7' of class 4"),
        (lambda copy: shutil.rmtree(copy / "train" / "4"), "there is no folder .*train/4"),
        (lambda copy: copy.with_name("events_np.building").touch(), "did not finish"),
    ],
)
def test_two_layouts_of_different_recordings_are_refused_with_both_named(
    tmp_path: Path, change: Callable[[Path], object], difference: str
) -> None:
    write_nmnist(tmp_path, train=3, test=3)
    change(spikingjelly(tmp_path))

    with pytest.raises(DataError, match=rf"NMNIST \(.* and .*events_np \(.*{difference}"):
        describe(spec("nmnist", tmp_path))


def test_events_of_another_data_set_in_the_same_root_are_not_there(tmp_path: Path) -> None:
    write_nmnist(tmp_path, train=3, test=3)
    spikingjelly(tmp_path, "cifar10dvs")

    info = describe(spec("nmnist", tmp_path))

    assert (info.num_test, info.notes) == (30, ())


def test_of_two_kinds_of_files_side_by_side_the_published_one_is_read(tmp_path: Path) -> None:
    for name in CIFAR:
        for i in range(3):
            path = tmp_path / "CIFAR10DVS" / name / f"cifar10_{name}_{i}.aedat"
            aedat2(path, [(1, 2, 1, 5), (i, 2, 0, 9)])
            path.with_suffix(".aedat4").write_bytes(b"another form")

    info = describe(spec("cifar10dvs", tmp_path))
    (tmp_path / "CIFAR10DVS" / "cat" / "cifar10_cat_1.aedat4").unlink()

    assert "(.aedat files as published) is read; " in info.notes[0]
    assert info.num_train + info.num_validation + info.num_test == 30
    with pytest.raises(DataError, match=r"\.aedat files .* and .*\.aedat4 files .*'1' of class 3"):
        describe(spec("cifar10dvs", tmp_path))


@pytest.mark.parametrize("name", ["nmnist", "cifar10dvs"])
def test_what_a_system_leaves_among_recordings_is_passed_over_and_the_rest_is_told(
    tmp_path: Path, name: str
) -> None:
    home = spikingjelly(tmp_path, name, count=4)
    before = describe(spec(name, tmp_path)), content_sha256(spec(name, tmp_path))
    classes = home / "train" if name == "nmnist" else home
    one = next(classes.iterdir())
    for junk in ("._0.npz", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (one / junk).write_bytes(b"\0\5\x16\7")
    (classes / "__MACOSX").mkdir()

    with_junk = describe(spec(name, tmp_path)), content_sha256(spec(name, tmp_path))
    (one / "notes.txt").touch()
    (classes / "extra").mkdir()

    assert with_junk == before
    assert describe(spec(name, tmp_path)).notes[0].endswith("of it: 1 .txt, 1 folder extra")


def test_a_link_to_nothing_among_recordings_is_named(tmp_path: Path) -> None:
    home = spikingjelly(tmp_path)
    (home / "train" / "0" / "9.npz").symlink_to(tmp_path / "gone.npz")

    with pytest.raises(DataError, match=r"0/9\.npz is a folder or a link to nothing"):
        describe(spec("nmnist", tmp_path))


def test_a_compressed_file_with_any_damaged_byte_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "0.npz"
    n = np.arange(40)
    np.savez_compressed(path, t=n, x=n, y=n, p=n % 2)
    whole = path.read_bytes()
    refused = 0

    for i in range(0, len(whole), 3):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :])
        try:
            read_npz(path)
        except DataError as error:
            refused += str(path) in str(error)

    assert refused > len(whole) / 6  # the rest are times and paddings of the archive
