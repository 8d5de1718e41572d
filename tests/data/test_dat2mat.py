"""CIFAR10-DVS as MATLAB files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from spikenas.data import DataSpec, content_sha256, load
from spikenas.data.aedat2 import read_aedat2
from spikenas.data.cifar10dvs import Cifar10Dvs
from spikenas.data.dat2mat import read_mat
from spikenas.exceptions import DataError

WORDS = np.random.default_rng(0).integers(0, 1 << 15, 50, np.int64)  # addresses of a DVS128
TIMES = np.arange(50) * 70 + 1000


def dat2mat(words: NDArray[np.int64], t: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what the authors' MATLAB function returns of addresses and times."""
    x, y = 127 - ((words & 0xFE) >> 1), (words & 0x7F00) >> 8
    return np.stack((t - t[0], x, y, 1 - 2 * (words & 1)), 1)


ROWS = dat2mat(WORDS, TIMES)
WIDE = np.insert(ROWS, [1, 1], -1, axis=1)


@pytest.mark.parametrize(
    "saved",
    [
        {"out1": ROWS},
        {"out1": ROWS.astype(np.float64)},
        {"out1": np.maximum(ROWS, 0).astype(np.uint32)},  # what MATLAB makes of a time without sign
        {"out1": WIDE, "other": "text"},
        {"event_data": ROWS.astype(np.int32)},
    ],
)
@pytest.mark.parametrize("is_compressed", [True, False])
def test_a_recording_is_the_same_from_mat_as_from_aedat(
    tmp_path: Path, saved: dict[str, object], is_compressed: bool
) -> None:
    published = tmp_path / "cifar10_cat_0.aedat"
    published.write_bytes(b"#!AER-DAT2.0\r\n" + np.stack((WORDS, TIMES), 1).astype(">u4").tobytes())
    savemat(tmp_path / "0.mat", saved, do_compression=is_compressed)

    expected, read = read_aedat2(published), read_mat(tmp_path / "0.mat")

    assert [column.tolist() for column in read[:3]] == [column.tolist() for column in expected[:3]]
    assert read.t.tolist() == (expected.t - expected.t[0]).tolist()


def test_a_set_of_mat_files_is_read_and_is_other_data_than_its_aedat_files(tmp_path: Path) -> None:
    spec = DataSpec(name="cifar10dvs", root=str(tmp_path), num_steps=2, image_size=32)
    for label, name in enumerate(Cifar10Dvs.classes):
        folder = tmp_path / "CIFAR10DVS" / name
        folder.mkdir(parents=True)
        for i in range(10):
            savemat(folder / f"{i}.mat", {"out1": dat2mat(WORDS ^ (label << 8), TIMES)})
    (tmp_path / "CIFAR10DVS" / "cat" / "._0.mat").write_bytes(b"\0\5\x16\7")
    alone, read = content_sha256(spec), load(spec)

    for label, name in enumerate(Cifar10Dvs.classes):
        for i in range(10):
            words = np.stack((WORDS ^ (label << 8), TIMES), 1).astype(">u4")
            path = tmp_path / "CIFAR10DVS" / name / f"cifar10_{name}_{i}.aedat"
            path.write_bytes(b"#!AER-DAT2.0\r\n" + words.tobytes())
    again = load(spec)

    assert (len(read.train), len(read.validation), len(read.test)) == (81, 9, 10)
    assert content_sha256(spec) != alone
    assert "with the same 100 recordings" in again.info.notes[0]
    assert sorted(map(bytes, again.train.images.numpy())) == sorted(
        map(bytes, read.train.images.numpy())
    )


def mat(**saved: object) -> Callable[[Path], None]:
    return lambda path: savemat(path, saved)


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (mat(out2=ROWS), r"has out2 \[50, 4\]; needed"),
        (mat(), "has no matrix; needed"),
        (mat(out1=ROWS.T), r"has out1 \[4, 50\]"),
        (mat(out1="text"), "has no matrix"),
        (mat(out1={"x": ROWS}), "has no matrix"),
        (mat(out1=ROWS * 1j), "has no matrix"),
        (mat(out1=ROWS + 0.5), "no whole numbers"),
        (mat(out1=ROWS * np.nan), "no whole numbers"),
        (mat(out1=ROWS[:, [1, 2, 3, 0]]), "y from -1"),
        (mat(out1=ROWS[:, [3, 0, 1, 2]]), "time from -1"),
        (mat(out1=ROWS * [1, 2, 1, 1]), "x from [0-9]+ to 2[0-9]+"),
        (mat(out1=ROWS * [1, 1, 1, 2]), "polarity from -2 to 2"),
        (mat(out1=ROWS[:, [0, 1, 2, 2]] % [9999, 999, 999, 3] - [0, 0, 0, 1]), "of -1, 0 and 1"),
        (mat(out1=ROWS[:0]), "has out1|no event"),
        (lambda path: path.write_bytes(b"MATLAB 7.3 MAT-file"), "save it with -v7"),
        (lambda path: path.write_bytes(b""), "no MATLAB 5 file"),
        (lambda path: path.write_bytes(b"\0\5\x16\7" * 40), "no MATLAB 5 file"),
    ],
)
def test_a_mat_file_of_another_layout_is_refused_by_name(
    tmp_path: Path, write: Callable[[Path], None], complaint: str
) -> None:
    path = tmp_path / "0.mat"
    write(path)

    with pytest.raises(DataError, match=rf"0\.mat .*{complaint}"):
        read_mat(path)


@pytest.mark.parametrize("is_compressed", [True, False])
def test_a_mat_file_with_any_damaged_byte_is_read_or_refused_by_name(
    tmp_path: Path, is_compressed: bool
) -> None:
    path = tmp_path / "0.mat"
    savemat(path, {"out1": ROWS}, do_compression=is_compressed)
    whole = path.read_bytes()
    damaged = [whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :] for i in range(len(whole))]
    refused = 0

    for content in [*damaged[::3], *(whole[:i] for i in range(0, len(whole), 7))]:
        path.write_bytes(content)
        try:
            read_mat(path)
        except DataError as error:
            refused += str(path) in str(error)

    assert refused > len(whole) // 7
