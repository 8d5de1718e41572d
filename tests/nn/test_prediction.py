"""Images as a user has them, held against the batches of a search."""

import pytest
import torch

from spikenas.data import DataSpec, describe, load, preprocessing_of
from spikenas.exceptions import UsageError
from spikenas.nn.prediction import prepared
from spikenas.preprocessing import Preprocessing

DIGITS = DataSpec(name="digits")
HOW = preprocessing_of(DIGITS, describe(DIGITS))


@pytest.mark.parametrize("as_given", [lambda x: x, lambda x: x / 255, lambda x: x.numpy() / 255.0])
def test_pixels_become_the_very_batches_of_the_search(as_given):
    part = load(DIGITS).validation

    found = prepared(as_given(part.images), HOW)

    assert torch.equal(found, part.normalised(part.images))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            torch.full((2, 1, 8, 8), -0.5),
            r"go from -0\.5 .*already normalised to network\(images\)",
        ),
        (torch.full((2, 1, 8, 8), float("nan")), "go from nan"),
        (torch.zeros(2, 3, 8, 8), r"shape \[2, 3, 8, 8\]; needed: \[B, C=1 \(grey\)"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.int64), "needed: uint8, or floats in 0..1"),
        ([[1.0]], "images are a list"),
    ],
)
def test_images_of_another_kind_are_refused(images, message):
    with pytest.raises(UsageError, match=message):
        prepared(images, HOW)


def test_a_network_without_a_record_says_how_to_get_one():
    with pytest.raises(UsageError, match="export it again from its run"):
        prepared(torch.zeros(1, 1, 8, 8), None)


def test_preprocessing_survives_its_json_form():
    assert Preprocessing.from_dict(HOW.to_dict()) == HOW
