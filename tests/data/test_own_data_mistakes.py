"""What a first user gives by mistake: each is answered in one sentence with the cure."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from spikenas.data import OwnData, data_spec, describe
from spikenas.exceptions import DataError

IMAGES = torch.randint(0, 256, (40, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
LABELS = torch.arange(40) % 4
TRAIN = (IMAGES, LABELS)
OTHERS = (IMAGES[:12].flip(-1), LABELS[:12])
ARRAYS = [*IMAGES.numpy()]
PICTURES = [Image.fromarray(image[0]) for image in ARRAYS]
TEXTS = ["cat", "dog"] * 20


class Column:
    """As a pandas Series."""

    def to_numpy(self) -> Any:
        return LABELS.numpy()


class Named(TensorDataset):
    classes = ("ant", "bee")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((IMAGES.numpy(), Column()), r"no array; give column\.to_numpy\(\)"),
        (((IMAGES, Column()), 0.1, OTHERS), r"train = .* no array; give column\.to_numpy\(\)"),
        ((ARRAYS, LABELS.numpy()), r"np\.stack\(images\) of arrays"),
        ((ARRAYS, LABELS.tolist()), r"np\.stack\(images\) of arrays"),
        (((PICTURES, LABELS), 0.1, OTHERS), r"train = .* list\(zip\(images, labels\)\)"),
        (DataLoader(TensorDataset(*TRAIN)), r"data = a DataLoader; .*: loader\.dataset"),
        ((*TRAIN, *OTHERS), r"\(\(X, y\), 0.1, \(X_test, y_test\)\)"),
        ((IMAGES, np.array(TEXTS)), r"sample 0 has label 'cat'; .*np\.unique\(texts, return_inv"),
        ((IMAGES, TEXTS), r"sample 0 has label 'cat'; .*np\.unique\(texts, return_inverse=True\)"),
        ((IMAGES, [*range(39), float("nan")]), "sample 39 has label nan; needed: a whole number"),
        ((IMAGES, LABELS / 2), "sample 1 has label 0.5; needed: a whole number, from 0 to n - 1"),
        ((IMAGES, [0, 2**70] * 20), "sample 1 has label 1180591620717411303424; labels count"),
        (
            (IMAGES, LABELS.numpy().astype("uint64") + np.uint64(2**63)),
            "sample 0 has label 9223372036854",
        ),
        ((IMAGES.to("meta"), LABELS), "torch.uint8 on meta that NumPy cannot read: Cannot copy"),
        ((np.ma.masked_equal(IMAGES.numpy(), 0), LABELS), r"masked array; give array\.filled\(0\)"),
        (([(ARRAYS[0], "cat")] * 40, 0.1, OTHERS), r"item 0 has label 'cat'; .*np\.unique"),
    ],
)
def test_it_is_told_what_to_give_instead(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        data_spec(data)

    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (5, "classes = 5; needed: a list of names by label"),
        ([], "train has label 3, but classes has 0 of the 4 names needed, one for each label"),
        ({"ant": 0}, "classes = a dict; needed: a list"),
    ],
)
def test_names_that_are_none_are_refused(classes: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        OwnData(train=TRAIN, classes=classes).spec()


def test_texts_become_labels_as_the_message_says() -> None:
    names, labels = np.unique(TEXTS, return_inverse=True)

    info = describe(OwnData(train=(IMAGES, labels), classes=names).spec())

    assert info.classes == ("cat", "dog")


def test_a_list_of_pairs_is_a_part_as_the_message_says() -> None:
    train = [[picture, label] for picture, label in zip(PICTURES, LABELS.tolist(), strict=True)]

    assert data_spec((train, OTHERS)).own == data_spec((TRAIN, OTHERS)).own
    assert data_spec(([*TRAIN], [*OTHERS])).own == data_spec((TRAIN, OTHERS)).own


def test_names_of_a_data_set_that_do_not_fit_its_labels_are_left_out_with_a_note() -> None:
    info = describe(OwnData(train=Named(*TRAIN)).spec())

    assert info.classes == ("0", "1", "2", "3")
    assert "have 2 names, but labels go up to 3" in info.notes[0]


def test_a_share_may_be_a_float_of_numpy() -> None:
    assert describe(data_spec((TRAIN, np.float32(0.25), OTHERS))).num_validation == 10


def test_samples_that_are_in_two_parts_are_told_once() -> None:
    test = (torch.cat([IMAGES[:3], OTHERS[0]]), torch.cat([LABELS[:3], OTHERS[1]]))

    (note,) = describe(data_spec((TRAIN, 0.1, test))).notes

    assert note.startswith("3 of 15 samples of test are in train too")
    assert describe(data_spec((TRAIN, 0.1, OTHERS))).notes == ()
