"""Images as a user has them, held against the batches of a search."""

import itertools
from dataclasses import replace

import event_recordings
import numpy as np
import pytest
import torch
from PIL import Image

from spikenas.data import DataSpec, OwnData, describe, load, preprocessing_of
from spikenas.data.binning import binned
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


def test_floats_are_rounded_to_8_bits_as_the_search_rounds_a_users_own():
    images = torch.rand(
        (40, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.double
    )
    spec = OwnData(train=(images, torch.arange(40) % 2)).spec()
    part = load(spec).validation

    found = prepared(images, preprocessing_of(spec, describe(spec)))

    every = {image.numpy().tobytes() for image in found}
    assert all(image.numpy().tobytes() in every for image in part.normalised(part.images))


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


def test_images_of_another_size_are_resized_as_the_search_resized_its_own():
    spec = DataSpec(name="digits", image_size=12)
    how = preprocessing_of(spec, describe(spec))
    original, resized = load(DIGITS).test, load(spec).test

    for images in (original.images, original.images / 255):
        assert torch.equal(prepared(images, how), resized.normalised(resized.images))


def test_another_size_is_refused_where_the_search_resized_nothing():
    with pytest.raises(UsageError, match=r"H=8, W=8\], as the search resized no image"):
        prepared(torch.zeros(1, 1, 12, 12), HOW)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_grey_and_transparent_images_become_what_the_image_folder_made_of_them(mode, tmp_path):
    rng = np.random.default_rng(0)
    arrays = []
    for part, label in itertools.product(("train", "test"), ("a", "b")):
        (tmp_path / part / label).mkdir(parents=True)
        for i in range(3 if part == "train" else 1):
            array = rng.integers(0, 256, (10, 14, len(mode)), np.uint8)
            Image.fromarray(array.squeeze()).save(tmp_path / part / label / f"{i}.png")
            if part == "test":
                arrays.append(array.transpose(2, 0, 1))
    spec = DataSpec(name="image_folder", root=str(tmp_path), image_size=8, validation_fraction=0.4)
    part = load(spec).test
    how = preprocessing_of(spec, describe(spec))

    for images in (np.stack(arrays), np.stack(arrays) / 255):
        assert torch.equal(prepared(images, how), part.normalised(part.images))


def test_grey_is_refused_where_the_data_set_has_none():
    how = replace(HOW, channels=3, channel_order="RGB", mean=(0.5,) * 3, std=(0.5,) * 3)

    with pytest.raises(UsageError, match=r"needed: \[B, C=3 \(RGB\)"):
        prepared(torch.zeros(1, 1, 8, 8), how)


def test_a_shape_that_is_refused_is_told_as_it_was_given():
    with pytest.raises(UsageError, match=r"images have shape \[120, 9, 8\]; needed: .* without B"):
        prepared(torch.zeros(120, 9, 8), HOW)


EVENTS = Preprocessing(
    kind="events",
    channels=2,
    channel_order="OFF, ON",
    height=5,
    width=5,
    resize="none",
    mean=(0.0, 0.0),
    std=(1.0, 1.0),
    binning="count",
    num_steps=3,
    value_range="counts",
    sensor_size=(12, 12),
)


def test_counts_of_events_are_given_as_they_are_or_added_up_from_the_pixels_of_the_camera():
    rng = np.random.default_rng(0)
    given = event_recordings.events(
        *((rng.integers(12), rng.integers(12), rng.integers(2), t) for t in range(500))
    )
    large = binned(given, 3, "count", sensor=(12, 12))
    small = torch.from_numpy(binned(given, 3, "count", sensor=(12, 12), size=(5, 5))).float()

    assert torch.equal(prepared(large[None], EVENTS), small[None])
    assert torch.equal(prepared(small, EVENTS), small[None])


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (torch.zeros(1, 4, 2, 5, 5), r"T=3, C=2 \(OFF, ON\), H=5, W=5\], or at .* 12x12 pixels"),
        (torch.zeros(1, 3, 2, 6, 6), "or at the camera's 12x12 pixels"),
        (torch.full((1, 3, 2, 5, 5), -1.0), "none below 0"),
        (torch.full((1, 3, 2, 5, 5), float("inf")), "finite counts"),
        (torch.full((1, 3, 2, 5, 5), 0.5), "counts that are not whole"),
    ],
)
def test_events_of_another_kind_are_refused(events, message):
    with pytest.raises(UsageError, match=message):
        prepared(events, EVENTS)


def test_a_record_of_an_earlier_version_is_read_and_events_keep_their_range():
    record = EVENTS.to_dict()
    for later in ("value_range", "sensor_size", "ground", "grey_as_rgb"):
        del record[later]

    found = Preprocessing.from_dict(record)

    assert found == replace(EVENTS, sensor_size=None)
    assert Preprocessing.from_dict(EVENTS.to_dict()) == EVENTS
