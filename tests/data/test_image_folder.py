import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spikenas.data import DataSpec, describe, fingerprint, load
from spikenas.exceptions import DataError, shown


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

    with pytest.raises(DataError, match=r"test has 'green', unlike .*train"):
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


def first_of_red(root: Path) -> list[int]:
    return load(spec(root)).test.images[3, :, 0, 0].tolist()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_of_16_bits_equals_its_copy_in_8(root: Path, suffix: str) -> None:
    (root / "test" / "red" / "0.png").unlink()
    grey = np.full((9, 9), 77 * 257, np.uint16)
    Image.fromarray(grey).save(root / "test" / "red" / f"0.{suffix}")

    assert first_of_red(root) == [77, 77, 77]


def test_transparent_grey_of_16_bits_is_put_on_white(root: Path) -> None:
    grey = np.full((9, 9), 1000, np.uint16)
    Image.fromarray(grey).save(root / "test" / "red" / "0.png", transparency=1000)

    assert first_of_red(root) == [255, 255, 255]


def test_grey_of_16_bits_with_white_as_0_is_read_as_it_is_shown(root: Path) -> None:
    (root / "test" / "red" / "0.png").unlink()
    path = root / "test" / "red" / "0.tif"
    Image.fromarray(np.full((9, 9), 77 * 257, np.uint16)).save(path)
    black_is_0 = b"\x06\x01\x03\x00\x01\x00\x00\x00\x01\x00"  # the tag Photometric
    path.write_bytes(path.read_bytes().replace(black_is_0, black_is_0[:-2] + b"\x00\x00"))

    assert first_of_red(root) == [255 - 77] * 3


def test_transparent_images_are_put_on_white(root: Path) -> None:
    path = root / "test" / "red" / "0.png"
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(path)

    assert first_of_red(root) == [255, 255, 255]


def test_an_image_is_turned_as_its_orientation_says(root: Path) -> None:
    upright = Image.new("RGB", (8, 8))
    upright.paste((0, 200, 0), (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3  # half a turn
    upright.save(root / "test" / "red" / "0.png", exif=exif)

    image = load(spec(root)).test.images[3]

    assert image[:, 0, 0].tolist() == [0, 0, 0]
    assert image[:, 7, 0].tolist() == [0, 200, 0]


def test_a_set_whose_images_are_all_equal_is_refused(root: Path) -> None:
    for path in root.rglob("*.png"):
        paint(path, (1, 2, 3))

    with pytest.raises(DataError, match="all 26 images are equal"):
        load(spec(root))


@pytest.mark.parametrize("name", ["val", "Valid", "validation"])
def test_a_validation_part_is_used_as_such_and_never_trained_on(root: Path, name: str) -> None:
    for i in range(4):
        for colour in ("red", "blue"):
            paint(root / name / colour / f"{i}.png", (7, 100 + i, 7))

    splits = load(spec(root))

    assert (len(splits.train), len(splits.validation), len(splits.test)) == (20, 8, 6)
    assert splits.validation.images[:, 0, 0, 0].unique().tolist() == [7]
    assert not (splits.train.images[:, 0, 0, 0] == 7).any()


def test_a_test_share_is_held_out_where_there_is_validation_but_no_test(root: Path) -> None:
    (root / "test").rename(root / "val")

    splits = load(spec(root))

    assert (len(splits.train), len(splits.validation), len(splits.test)) == (16, 6, 4)


@pytest.mark.parametrize("junk", ["._0.png", ".DS_Store", "Thumbs.db", "desktop.ini"])
def test_what_a_system_puts_there_is_passed_over(root: Path, junk: str) -> None:
    (root / "train" / "red" / junk).write_bytes(b"\0\5\x16\7" + bytes(99))
    for folder in ("__MACOSX", "@eaDir", ".ipynb_checkpoints", "lost+found"):
        (root / "train" / folder).mkdir()
        (root / folder).mkdir()

    info = describe(spec(root))

    assert (info.num_classes, info.num_train, info.notes) == (2, 18, ())


def test_other_files_are_left_out_with_one_note(root: Path) -> None:
    for name in ("a.txt", "b.txt", "c.xyz"):
        (root / "train" / "red" / name).write_text("none")
    (root / "train" / "red" / "empty").mkdir()

    (note,) = describe(spec(root)).notes

    assert "left out are 3 files that are no images of a class (2 .txt, 1 .xyz)" in note
    assert shown(root / "train" / "red" / "a.txt") in note


@pytest.mark.parametrize("place", [".", "train", "test", "train/red/deeper"])
def test_images_outside_the_folders_of_classes_are_told(root: Path, place: str) -> None:
    paint(root / place / "stray.png", (1, 2, 3))

    (note,) = describe(spec(root)).notes

    assert "(1 .png)" in note
    assert shown(root / place / "stray.png") in note


def test_images_of_a_class_and_of_its_folder_images_are_both_read(root: Path) -> None:
    paint(root / "train" / "red" / "images" / "0.png", (200, 99, 0))

    info = describe(spec(root))

    assert (info.num_train + info.num_validation, info.notes) == (21, ())


def test_images_may_lie_in_a_folder_of_their_class(root: Path) -> None:
    for home in list(root.glob("*/*")):
        home.rename(root / "aside")
        home.mkdir()
        (root / "aside").rename(home / "images")

    assert describe(spec(root)).num_test == 6


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda root: (root / "Train").mkdir(), "both the train part"),
        (lambda root: paint(root / "green" / "0.png", (1, 2, 3)), r"green, which is none"),
        (lambda root: (root / "train" / "red" / "0.gif").symlink_to("gone"), "link to nothing"),
        (lambda root: (root / "train" / "green").symlink_to("gone"), "green is a link to nothing"),
        (lambda root: (root / "train" / "red" / "a.png").mkdir(), r"a\.png is named as an image"),
        (lambda root: (root / "train" / "red" / "0.TIFF").touch(), r"0\.TIFF is an empty file"),
        (lambda root: (root / "train" / "green").mkdir(), r"test lacks 'green'|has no image"),
        (lambda root: shutil.rmtree(root / "test" / "red"), r"test lacks 'red'"),
        (lambda root: shutil.rmtree(root / "train"), "no train"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    root: Path, change: Callable[[Path], object], complaint: str
) -> None:
    change(root)

    with pytest.raises(DataError, match=complaint):
        describe(spec(root))


def test_a_name_that_is_not_utf_8_is_read_or_refused_in_escapes(root: Path) -> None:
    path = root / "train" / "red" / os.fsdecode(b"caf\xe9.png")
    (root / "train" / "red" / "0.png").rename(path)
    assert describe(spec(root)).num_train == 18
    path.write_bytes(b"no image")

    with pytest.raises(DataError, match=r"caf\\xe9\.png cannot be read"):
        load(spec(root))


def test_the_classes_are_named(root: Path) -> None:
    assert describe(spec(root)).classes == ("blue", "red")
    assert describe(DataSpec(name="digits")).classes == tuple("0123456789")


def test_all_broken_images_are_told_at_once(root: Path) -> None:
    for i in range(7):
        (root / "train" / "red" / f"{i}.png").write_bytes(b"no image")

    with pytest.raises(DataError, match=r"red/0\.png.*red/4\.png.*; and 2 more; delete"):
        load(spec(root))


def test_a_part_that_is_cut_without_some_class_is_told(root: Path) -> None:
    alone = root / "train"
    for i in range(3):
        paint(alone / "green" / f"{i}.png", (0, 200, i))

    (note,) = load(spec(alone)).info.notes
    (alone / "green" / "1.png").unlink()
    (alone / "green" / "2.png").unlink()

    assert "the validation part, of 2 samples, has none of class 'green'" in note
    assert len(load(spec(alone)).info.notes) == 2
