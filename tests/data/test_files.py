import gzip
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from spikenas.data import DataSpec, describe, load
from spikenas.data.cifar import CifarSource
from spikenas.exceptions import DataError

SHAPES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
TINY = CifarSource(
    name="CIFAR10",
    subfolder="batches",
    train_files={"one": 6, "two": 6},
    test_files={"test": 4},
    labels="labels",
    classes=tuple(map(str, range(10))),
    mean=(0.5, 0.5, 0.5),
    std=(0.2, 0.2, 0.2),
)


def header(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f">{1 + len(shape)}I", 0x0800 + len(shape), *shape)


def idx(shape: tuple[int, ...]) -> bytes:
    values = np.arange(np.prod(shape), dtype=np.uint32) % (251 if len(shape) > 1 else 10)
    return header(shape) + values.astype(np.uint8).tobytes()


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """An MNIST: the training images are black and raw, the test images counted and gzipped."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, shape in SHAPES.items():
        if name.startswith("t10k"):
            (raw / f"{name}.gz").write_bytes(gzip.compress(idx(shape), 1))
        elif name == "train-labels-idx1-ubyte":
            (raw / name).write_bytes(idx(shape))
        else:
            (raw / name).write_bytes(header(shape))
            os.truncate(raw / name, 16 + 60_000 * 28 * 28)
    return raw


def spec(raw: Path) -> DataSpec:
    return DataSpec(name="mnist", root=str(raw.parents[1]), train_subset=100)


def test_raw_and_gzipped_idx_files_are_read(mnist: Path) -> None:
    splits = load(spec(mnist))

    assert splits.info.num_test == 10_000
    assert splits.test.images[0, 0, 0, :3].tolist() == [0, 1, 2]
    assert splits.test.labels[:3].tolist() == [0, 1, 2]


def test_a_missing_data_set_is_answered_with_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        describe(DataSpec(name="fashion_mnist", root=str(tmp_path)))

    told = str(caught.value)
    assert str(tmp_path / "FashionMNIST" / "raw" / "train-images-idx3-ubyte") in told
    assert f'datasets.FashionMNIST("{tmp_path}", download=True)' in told
    assert "SPIKENAS_DATA" in told


@pytest.mark.parametrize(
    "name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz"]
)
@pytest.mark.parametrize("kept", [0, 10, 9_000])
def test_a_truncated_idx_file_is_named_before_anything_is_read(
    mnist: Path, name: str, kept: int
) -> None:
    os.truncate(mnist / name, kept)

    with pytest.raises(DataError, match=f"{name} is truncated or damaged"):
        describe(spec(mnist))


def test_a_gzip_file_damaged_inside_is_named(mnist: Path) -> None:
    path = mnist / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[40] ^= 0xFF
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz is truncated or damaged"):
        load(spec(mnist))


def test_an_idx_file_of_another_shape_is_refused(mnist: Path) -> None:
    (mnist / "train-labels-idx1-ubyte").write_bytes(idx((50,)))

    with pytest.raises(DataError, match=r"no idx file of shape \(60000,\)"):
        describe(spec(mnist))


def test_labels_beyond_the_classes_are_refused(mnist: Path) -> None:
    path = mnist / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0b")

    with pytest.raises(DataError, match="the training labels go from 0 to 11"):
        load(spec(mnist))


def batch(count: int, protocol: int = 2) -> bytes:
    data = np.arange(count * 3072, dtype=np.uint32).astype(np.uint8).reshape(count, 3072)
    return pickle.dumps({"data": data, "labels": [i % 10 for i in range(count)]}, protocol)


def python2_batch(count: int) -> bytes:
    """The opcodes that Python 2 and numpy 1 wrote: byte strings, and bytes within the array."""
    pixels = bytes(i % 256 for i in range(count * 3072))
    return b"".join(
        [
            b"\x80\x02}q\x01(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n",
            b"K\x00\x85U\x01b\x87R(K\x01K",
            bytes([count]),
            b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R",
            b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T",
            struct.pack("<i", len(pixels)),
            pixels,
            b"tbU\x06labels](",
            b"".join(b"K" + bytes([i % 10]) for i in range(count)),
            b"eu.",
        ]
    )


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    folder = tmp_path / "batches"
    folder.mkdir()
    (folder / "one").write_bytes(batch(6))
    (folder / "two").write_bytes(python2_batch(6))
    (folder / "test").write_bytes(batch(4))
    return folder


def test_cifar_batches_of_old_and_new_pickles_are_read_alike(cifar: Path) -> None:
    TINY.survey(cifar.parent, None)

    arrays = TINY.read(cifar.parent, None)

    assert arrays.train_images.shape == (12, 3, 32, 32)
    assert (arrays.train_images[:6] == arrays.train_images[6:]).all()
    assert arrays.train_labels.tolist() == [0, 1, 2, 3, 4, 5] * 2
    assert arrays.test_images[0, 0, 0, :3].tolist() == [0, 1, 2]


def test_a_missing_cifar_batch_is_named(cifar: Path) -> None:
    (cifar / "two").unlink()

    with pytest.raises(DataError, match=r"there is no .*two\. Get it with: python -c"):
        TINY.survey(cifar.parent, None)


@pytest.mark.parametrize("kept", [0, 5_000, -1])
def test_a_truncated_cifar_batch_is_named_before_anything_is_read(cifar: Path, kept: int) -> None:
    content = (cifar / "two").read_bytes()
    (cifar / "two").write_bytes(content[:kept])

    with pytest.raises(DataError, match="two is truncated or damaged"):
        TINY.survey(cifar.parent, None)


def test_a_cifar_batch_with_too_few_images_is_refused(cifar: Path) -> None:
    (cifar / "two").write_bytes(batch(5))

    with pytest.raises(DataError, match="two is truncated or damaged"):
        TINY.read(cifar.parent, None)


class Hostile:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.victim}",)


def test_a_pickle_that_would_run_a_command_is_refused(cifar: Path) -> None:
    victim = cifar / "victim"
    (cifar / "two").write_bytes(pickle.dumps({"data": Hostile(victim), "pad": bytes(20_000)}))

    with pytest.raises(DataError, match=r"it asks for .*system, which no CIFAR batch needs"):
        TINY.read(cifar.parent, None)

    assert not victim.exists()
