from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from spikenas.data import (
    DataSpec,
    OwnData,
    content_sha256,
    data_spec,
    describe,
    fingerprint,
    load,
    preprocessing_of,
)
from spikenas.exceptions import DataError, UsageError

N = 40
IMAGES = torch.randint(0, 256, (N, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
LABELS = torch.arange(N) % 4
TRAIN = (IMAGES, LABELS)
TEST = (IMAGES[:12].flip(-1), LABELS[:12])


class Pictures(Dataset[Any]):
    """As torchvision's data sets: PIL images, whole numbers, and names of classes."""

    classes = ("ant", "bee", "cat", "dog")

    def __init__(self, transform: Callable[[Image.Image], Any] = lambda image: image) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(IMAGES[index, 0].numpy())), index % 4


def to_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image))[None] / 255


@pytest.mark.parametrize(
    ("train", "is_of_floats"),
    [
        (TRAIN, False),
        ((IMAGES.numpy(), LABELS.numpy()), False),
        ((IMAGES / 255, LABELS.int()), True),
        (((IMAGES / 255).double().numpy(), LABELS.tolist()), True),
        ((IMAGES.flip(0).numpy()[::-1], LABELS.numpy().astype("uint8")), False),
        (TensorDataset(*TRAIN), False),
        (TensorDataset(IMAGES / 255, LABELS), True),
        (Pictures(), False),
        (Pictures(to_tensor), True),
        (Pictures(lambda image: np.array(image)[None]), False),
        ([(image, int(label)) for image, label in zip(*TRAIN, strict=True)], False),
    ],
)
def test_whatever_holds_the_samples_they_are_the_same(train: Any, is_of_floats: bool) -> None:
    expected = load(OwnData(train=TRAIN, test=TEST, classes=Pictures.classes).spec())

    test = (TEST[0] / 255, TEST[1]) if is_of_floats else TEST
    found = load(OwnData(train=train, test=test, classes=Pictures.classes).spec())

    assert torch.equal(found.train.images, expected.train.images)
    assert torch.equal(found.train.labels, expected.train.labels)
    assert torch.equal(found.test.images, TEST[0])
    assert found.info == expected.info


def test_the_training_images_say_how_to_normalise() -> None:
    info = describe(data_spec((TRAIN, TEST)))

    pixels = IMAGES.double() / 255
    assert info.mean == pytest.approx((float(pixels.mean()),))
    assert info.std == pytest.approx((float(pixels.std(unbiased=False)),))
    batch, _ = next(load(data_spec((TRAIN, TEST))).train.batches(30))
    assert abs(float(batch.mean())) < 0.1


def test_a_channel_that_never_changes_is_not_divided_by_zero() -> None:
    images = torch.cat([IMAGES, torch.full_like(IMAGES, 7)], 1)

    batch, _ = next(load(OwnData(train=(images, LABELS)).spec()).train.batches(10))

    assert batch.isfinite().all()


def test_a_pair_is_training_and_validation() -> None:
    splits = load(data_spec((TRAIN, TEST)))

    assert (len(splits.train), len(splits.validation), len(splits.test)) == (40, 12, 0)
    assert torch.equal(splits.validation.images, TEST[0])


def test_a_triple_ends_with_its_test_part_and_validation_may_be_a_share() -> None:
    splits = load(data_spec((TRAIN, 0.1, TEST)))

    assert (len(splits.train), len(splits.validation), len(splits.test)) == (36, 4, 12)
    assert splits.info.own_parts == ("test",)


@pytest.mark.parametrize("validation", [0.2, 0.5])
def test_a_share_is_held_out_evenly_and_by_its_seed(validation: float) -> None:
    first, second = (
        load(OwnData(train=TRAIN, validation=validation, split_seed=seed).spec()) for seed in (0, 1)
    )

    assert torch.bincount(first.validation.labels).tolist() == [round(N * validation / 4)] * 4
    assert not torch.equal(first.validation.images, second.validation.images)


@pytest.mark.parametrize("data", [TRAIN, TensorDataset(*TRAIN), OwnData(train=TRAIN)])
def test_one_part_alone_is_to_train_and_there_is_no_test(data: Any) -> None:
    spec = data_spec(data)

    assert not spec.has_test
    assert describe(spec).num_test == 0


def test_sizes_subsets_and_names_are_settings_as_those_of_a_named_set() -> None:
    own = OwnData(train=TRAIN, name="mine", image_size=16, train_subset=20)

    splits = load(own.spec())
    smaller = load(data_spec(own, image_size=4))

    assert splits.train.images.shape == (20, 1, 16, 16)
    assert smaller.train.images.shape == (20, 1, 4, 4)
    assert splits.info.name == "mine"
    assert preprocessing_of(own.spec(), splits.info).resize == "bilinear_antialias"


def test_names_of_classes_come_from_the_data_set_or_are_given_or_are_numbers() -> None:
    given = OwnData(train=TRAIN, classes=["n", "e", "s", "w"])

    assert describe(OwnData(train=Pictures()).spec()).classes == Pictures.classes
    assert describe(given.spec()).classes == ("n", "e", "s", "w")
    assert describe(OwnData(train=TRAIN).spec()).classes == ("0", "1", "2", "3")


def events(dtype: Any = torch.uint8) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randint(0, 200, (N, 5, 2, 8, 8), generator=random).to(dtype)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32])
def test_frames_of_events_stay_the_counts_that_they_are(dtype: torch.dtype) -> None:
    spec = OwnData(train=(events(dtype), LABELS)).spec().with_steps(5)

    splits = load(spec)
    batch, _ = next(splits.train.batches(10))

    assert splits.info.input.kind == "events"
    assert batch.shape == (10, 5, 2, 8, 8)
    torch.testing.assert_close(batch, splits.train.images[:10].float(), rtol=0, atol=1e-4)
    assert preprocessing_of(spec, splits.info).channel_order == "OFF, ON"


def test_smaller_frames_of_events_lose_none() -> None:
    counts = events() // 20
    own = OwnData(train=(counts, LABELS), validation=(counts[:8], LABELS[:8]), image_size=4)

    splits = load(own.spec().with_steps(5))

    assert splits.validation.images.shape == (8, 5, 2, 4, 4)
    assert torch.equal(splits.validation.images.sum((3, 4)), counts[:8].sum((3, 4)))


def test_frames_of_events_for_another_number_of_steps_are_refused() -> None:
    spec = OwnData(train=(events(), LABELS)).spec()

    with pytest.raises(DataError, match=r"has frames of events for num_steps = 5, but .* = 4"):
        describe(spec.with_steps(4))


def test_images_of_other_channels_are_as_they_were_given() -> None:
    spec = OwnData(train=(IMAGES.expand(-1, 5, -1, -1), LABELS)).spec()

    assert preprocessing_of(spec, describe(spec)).channel_order == "as given"


def test_rounding_to_8_bits_is_told() -> None:
    images = torch.rand(IMAGES.shape, generator=torch.Generator().manual_seed(0))

    (note,) = describe(OwnData(train=(images, LABELS)).spec()).notes

    assert "kept in 8 bits; the largest change is 0.002" in note
    assert describe(OwnData(train=(IMAGES / 255, LABELS)).spec()).notes == ()


def test_equal_samples_have_one_fingerprint_whatever_they_are_called() -> None:
    found = {
        fingerprint(OwnData(train=TRAIN, test=TEST).spec()),
        fingerprint(OwnData(train=TensorDataset(*TRAIN), test=TEST, name="other").spec()),
        fingerprint(OwnData(train=(IMAGES / 255, LABELS), test=(TEST[0] / 255, TEST[1])).spec()),
    }

    assert len(found) == 1


def test_any_other_sample_label_part_name_of_class_or_setting_gives_another() -> None:
    pixel, label = IMAGES.clone(), LABELS.clone()
    pixel[-1, 0, 7, 7] ^= 1
    label[-1] = 0
    others = [
        OwnData(train=(pixel, LABELS), test=TEST),
        OwnData(train=(IMAGES, label), test=TEST),
        OwnData(train=TRAIN),
        OwnData(train=TRAIN, validation=TEST),
        OwnData(train=TRAIN, test=(TEST[0][:11], TEST[1][:11])),
        OwnData(train=(IMAGES.reshape(N, 1, 4, 16), LABELS)),
        OwnData(train=TRAIN, test=TEST, classes=["n", "e", "s", "w"]),
        OwnData(train=TRAIN, test=TEST, split_seed=1),
        OwnData(train=TRAIN, test=TEST, validation=0.2),
        OwnData(train=TRAIN, test=TEST, image_size=16),
    ]

    found = {fingerprint(each.spec()) for each in (OwnData(train=TRAIN, test=TEST), *others)}

    assert len(found) == 1 + len(others)


def test_the_record_has_what_they_are_and_not_the_samples() -> None:
    spec = OwnData(train=TRAIN, test=TEST).spec()

    again = DataSpec.from_dict(spec.to_dict())

    assert again == spec
    assert content_sha256(again) == content_sha256(spec)
    assert describe(again) == describe(spec)
    with pytest.raises(DataError, match=r"samples of data 'own' are not at hand"):
        load(replace(again, split_seed=1))  # which no test has read yet


class Broken(Pictures):
    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index == 3:
            raise OSError("disk on fire")
        return super().__getitem__(index)


class Unlike(Pictures):
    def __init__(self, third: Any) -> None:
        super().__init__()
        self.third = third

    def __getitem__(self, index: int) -> Any:
        return self.third if index == 3 else super().__getitem__(index)


class Random(Pictures):
    def __init__(self) -> None:
        super().__init__(lambda _: torch.rand(1, 8, 8))


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([])


NAN = (IMAGES / 255).index_fill(0, torch.tensor([17]), float("nan"))
PICTURE = Image.fromarray(IMAGES[0, 0].numpy())


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ((IMAGES[:, 0], LABELS), r"\[40, 8, 8\]; needed: .*images\[:, None\]"),
        ((IMAGES.reshape(N, 8, 8, 1), LABELS), "the last axis looks like the channels"),
        ((IMAGES[:, None, :, None], LABELS), "needed: "),
        ((events().expand(-1, -1, -1, 8, 8).repeat(1, 13, 1, 1, 1), LABELS), "T is at most 64"),
        ((IMAGES[:0], LABELS[:0]), "train has no samples"),
        ((IMAGES, LABELS[:-1]), "train has 40 images, but 39 labels; give one label for each"),
        ((IMAGES.long(), LABELS), r"images of int64; needed: uint8 .*images\.to\(torch\.uint8\)"),
        (
            (IMAGES % 2, LABELS),
            r"images of uint8 from 0 to 1, where white is 255; give images \* 255",
        ),
        ((IMAGES > 9, LABELS), "images of bool; needed: uint8"),
        ((IMAGES.cfloat(), LABELS), "the images are of complex64"),
        ((IMAGES.float(), LABELS), r"sample 0 goes from .* to 25\d; needed: floats in 0..1"),
        ((IMAGES / 255 - 0.5, LABELS), r"normalised, leave that out \(transforms\.Normalize\)"),
        ((NAN, LABELS), "sample 17 has values that are not finite"),
        ((events().float() / 2, LABELS), "sample 0 has counts of events that are not whole"),
        ((events().int() * 2, LABELS), "needed: counts of events, whole numbers from 0 to 255"),
        ((-events().int(), LABELS), "needed: counts of events, whole numbers from 0 to 255"),
        ((IMAGES, LABELS.float()), r"labels of float32; needed: whole numbers"),
        ((IMAGES, torch.eye(4)[LABELS]), r"labels of shape \[40, 4\]; .*labels\.argmax\(1\)"),
        ((IMAGES, LABELS - 1), "sample 0 has label -1; labels count the classes from 0"),
        ((IMAGES, LABELS * 0), "train has 1 class; two are the least"),
        ((IMAGES * 0, LABELS), "all 40 images are equal"),
        ((IMAGES[:2], LABELS[:2]), "2 samples, too few to split"),
        ((IMAGES, LABELS * 10**12), r"train: sample 1 has label 10+; labels count the classes"),
        ((IMAGES, LABELS * 2), "train has no sample of label 1; without names of classes, labels"),
        ((IMAGES, LABELS + 1), r"train has no sample of label 0; .*: labels - 1"),
        (Broken(), "item 3 cannot be read: OSError: disk on fire"),
        (Unlike(7), r"item 3 is 7; needed: \(image, label\)"),
        (Unlike({"image": PICTURE, "label": 1}), r"item 3 is a dict; needed: \(image, label\)"),
        (Unlike((PICTURE.convert("RGBA"), 1)), "item 3 is a PIL image of mode RGBA"),
        (Unlike((PICTURE.convert("RGB"), 1)), r"item 3 has an image of uint8 \[3, 8, 8\], but"),
        (Unlike((PICTURE.resize((9, 9)), 1)), r"torchvision\.transforms\.Resize"),
        (Unlike((PICTURE, "cat")), "item 3 has label 'cat'; needed: a whole number"),
        (Unlike((PICTURE, 1.0)), "item 3 has label 1.0; needed: a whole number"),
        (Unlike((PICTURE, LABELS)), "item 3 has a Tensor of shape"),
        (Unlike(("cat.png", 1)), "item 3 has 'cat.png' as image"),
        (Random(), "item 0 is another image when it is read again"),
        (Stream(), "a Stream; its samples have no index; give"),
        (torch.utils.data.DataLoader(TensorDataset(*TRAIN)), "a DataLoader; it has batches"),
        ("digits", "train = 'digits'; needed: images"),
        (None, "train = None; needed: images"),
        (IMAGES, "item 0 is a Tensor"),
    ],
)
def test_wrong_samples_are_refused_with_what_to_do(train: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(_spec_of_any_steps(OwnData(train=train)))

    assert len(str(caught.value)) < 600


def _spec_of_any_steps(own: OwnData) -> DataSpec:
    spec = own.spec()
    return spec.with_steps(5) if spec.kind == "events" else spec


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test": (IMAGES[..., :4], LABELS)}, r"test has samples of shape \[1, 8, 4\], but train"),
        ({"test": (IMAGES / 255, LABELS)}, "test has images of floats, but train of uint8"),
        ({"test": (events(), LABELS)}, r"test has samples of shape \[5, 2, 8, 8\]"),
        ({"validation": (IMAGES, LABELS), "classes": ["a"]}, "classes has 1 of the 4 names"),
        ({"classes": ["a", "b", "c", "d", "e"]}, "training samples have none of class 'e'"),
        ({"validation": 0}, "validation = 0; as a share"),
        ({"validation": 0.6}, "validation = 0.6; as a share"),
        ({"validation": "tenth"}, "validation = 'tenth'; needed"),
        ({"classes": "abcd"}, "classes = 'abcd'; needed: a list of names"),
        ({"classes": ["a", "a", "b", "c"]}, "has a name twice"),
        ({"name": "../x"}, "name = '../x'; needed: up to 64 letters"),
        ({"name": "digits"}, "is a data set that spikenas reads itself"),
        ({"image_size": 3}, "image_size = 3"),
        ({"train_subset": 500}, "train_subset = 500, but the training part of own has 36"),
    ],
)
def test_wrong_settings_are_refused_with_what_to_do(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(OwnData(train=TRAIN, **settings).spec())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (IMAGES, r"data = a Tensor of shape \[40, 1, 8, 8\]; needed"),
        ((IMAGES, LABELS, LABELS), "data = a tuple of a Tensor of shape .*; images and"),
        ((TRAIN,), "data = a tuple of"),
        (7, "data = 7; needed"),
        ({"train": TRAIN}, "data = a dict; needed"),
    ],
)
def test_what_is_no_data_is_told_in_short(data: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        data_spec(data)

    assert len(str(caught.value)) < 400


def test_a_folder_is_answered_with_the_data_set_of_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it is the data set image_folder"):
        data_spec(tmp_path)


def test_a_data_root_is_for_named_sets(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data_root is where the files of a named data set lie"):
        data_spec((TRAIN, TEST), root=str(tmp_path))


def test_binning_is_for_recordings() -> None:
    with pytest.raises(DataError, match=r"data 'own' has frames already"):
        data_spec((events(), LABELS), binning="count")


def test_the_name_on_record_of_a_run_names_no_file_elsewhere() -> None:
    record = {**data_spec((TRAIN, TEST)).to_dict(), "name": "../../x"}

    with pytest.raises(DataError, match=r"name = '\.\./\.\./x'; needed: up to 64 letters"):
        DataSpec.from_dict(record)


def test_sparse_images_are_read_as_what_they_stand_for() -> None:
    dense, sparse = (data_spec((images, LABELS)) for images in (IMAGES, IMAGES.to_sparse()))

    assert dense.own == sparse.own
