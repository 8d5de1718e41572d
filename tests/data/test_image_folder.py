import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spikenas.data import DataSpec, describe, fingerprint, image_folder, load
from spikenas.exceptions import DataError


def paint(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (12, 9)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Red and blue images, ten of each to train and three to test."""
    for part, count in (("train", 10), ("test", 3)):
        for i in range(count):
            paint(tmp_path / part / "red" / f"{i}.png", (200, i, 0))
            paint(tmp_path / part / "blue" / f"{i}.png", (0, i, 200))
    return tmp_path


def spec(root: Path) -> DataSpec:
    return DataSpec(name="image_folder", root=str(root), image_size=8)


def test_the_folders_are_the_classes_in_sorted_order(root: Path) -> None:
    splits = load(spec(root))

    assert splits.info.num_classes == 2
    assert splits.test.images.shape == (6, 3, 8, 8)
    assert splits.test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert splits.test.images[0, :, 0, 0].tolist() == [0, 0, 200]  # blue comes first


def test_a_root_of_classes_has_its_test_part_held_out(root: Path) -> None:
    splits = load(spec(root / "train"))

    assert (len(splits.train), len(splits.validation), len(splits.test)) == (14, 2, 4)
    assert torch.bincount(splits.test.labels).tolist() == [2, 2]


def test_grey_and_palette_images_become_rgb(root: Path) -> None:
    path = root / "test" / "red" / "0.png"
    Image.fromarray(np.full((5, 30), 77, np.uint8)).save(path)

    splits = load(spec(root))

    assert splits.test.images[3, :, 0, 0].tolist() == [77, 77, 77]


def test_image_size_is_asked_for() -> None:
    with pytest.raises(DataError, match="image_folder needs image_size"):
        DataSpec(name="image_folder")


def test_a_missing_folder_is_answered_with_the_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*nowhere\. Expected: ROOT/train/CLASS"):
        describe(spec(tmp_path / "nowhere"))


def test_an_empty_class_folder_is_named(root: Path) -> None:
    (root / "train" / "green").mkdir()

    with pytest.raises(DataError, match=r"class folder .*green has no image"):
        describe(spec(root))


def test_a_class_that_is_only_tested_is_named(root: Path) -> None:
    paint(root / "test" / "green" / "0.png", (0, 200, 0))

    with pytest.raises(DataError, match=r"has classes that .*train lacks: green"):
        describe(spec(root))


def test_an_empty_image_file_is_named_before_anything_is_read(root: Path) -> None:
    (root / "train" / "red" / "4.png").write_bytes(b"")

    with pytest.raises(DataError, match=r"red/4\.png is an empty file"):
        describe(spec(root))


@pytest.mark.parametrize("kept", [10, 1_000])
def test_a_broken_image_is_named(root: Path, kept: int) -> None:
    path = root / "train" / "red" / "4.png"
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(DataError, match=r"red/4\.png cannot be read as an image"):
        load(spec(root))


def test_the_fingerprint_follows_the_images_and_not_their_place(root: Path) -> None:
    before = fingerprint(spec(root))
    moved = root.rename(root.with_name("moved"))

    after_move = fingerprint(spec(moved))
    paint(moved / "train" / "red" / "new.png", (1, 2, 3))

    assert after_move == before
    assert fingerprint(spec(moved)) != before


def test_pictures_replaced_under_the_same_names_and_sizes_are_other_data(root: Path) -> None:
    path = root / "train" / "red" / "0.bmp"
    paint(path, (1, 2, 3))
    stat = path.stat()
    before, images = fingerprint(spec(root)), load(spec(root)).train.images.clone()

    paint(path, (200, 100, 50))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert path.stat().st_size == stat.st_size
    assert fingerprint(spec(root)) != before
    assert not images.equal(load(spec(root)).train.images)


def test_grey_of_16_bits_and_transparency_are_read_as_a_viewer_shows_them(root: Path) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for part in ("train", "test"):
        for old in (root / part / "red").iterdir():
            old.unlink()
        Image.fromarray(grey.astype(np.uint16) * 257).save(root / part / "red" / "deep.png")
        Image.fromarray(grey).save(root / part / "red" / "flat.png")

    red = root / "test" / "red"
    deep, flat = (image_folder._image(red / f"{name}.png", 8) for name in ("deep", "flat"))
    assert np.array_equal(deep, flat)
