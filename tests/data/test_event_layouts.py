"""Event data in the layouts of others: SpikingJelly's, and AEDAT 2 as it was published."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spikenas.data import DataSpec, describe, load
from spikenas.data.aedat2 import read_aedat2
from spikenas.data.cifar10dvs import Cifar10Dvs
from spikenas.data.spikingjelly_events import read_npz
from spikenas.exceptions import DataError

CIFAR = Cifar10Dvs().classes(Path())


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
        (lambda path: save(path, x=np.full(40, 200)), "x from 200 to 200"),
        (lambda path: save(path, p=np.full(40, 2)), "p from 2 to 2"),
        (lambda path: save(path, t=np.arange(39)), "different lengths"),
        (lambda path: save(path, y=np.full(40, np.nan)), "no whole numbers"),
        (lambda path: save(path, y=np.zeros((40, 2))), r"y is float64 \[40, 2\]"),
        (lambda path: np.savez(path, frames=np.zeros((4, 2, 8, 8))), "lacks x, y, p, t"),
        (lambda path: path.write_bytes(b"PK no archive"), "truncated or damaged"),
        (lambda path: save(path, **dict.fromkeys("txyp", np.arange(0))), "no event"),
    ],
)
def test_a_file_that_holds_no_events_is_refused_by_name(
    tmp_path: Path, write: Callable[[Path], None], complaint: str
) -> None:
    path = tmp_path / "0.npz"
    write(path)

    with pytest.raises(DataError, match=rf"0\.npz.*{complaint}"):
        read_npz(path, (128, 128))


@pytest.mark.parametrize("content", [b"", b"#!AER-DAT4.0\r\n12345678", b"#!AER-DAT2.0\r\n123"])
def test_a_file_that_is_no_aedat_2_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "0.aedat"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"0\.aedat"):
        read_aedat2(path)
