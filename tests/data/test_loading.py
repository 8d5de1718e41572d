import json
from pathlib import Path

import pytest
import torch

from spikenas.data import DataSpec, describe, fingerprint, load, names
from spikenas.data.splitting import stratified_order
from spikenas.exceptions import DataError, UnknownNameError


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_the_catalog_has_six_image_sets_and_three_event_sets() -> None:
    images = ["cifar10", "cifar100", "digits", "fashion_mnist", "image_folder", "mnist"]

    assert names() == sorted([*images, "cifar10dvs", "dvs128", "nmnist"])


def test_digits_are_described_without_a_file() -> None:
    info = describe(DataSpec(name="digits"))

    assert (info.input.channels, info.input.height, info.input.width) == (1, 8, 8)
    assert (info.num_train, info.num_validation, info.num_test) == (1294, 144, 359)


def test_loading_gives_what_the_description_says() -> None:
    spec = DataSpec(name="digits", train_subset=100, validation_fraction=0.2, image_size=16)

    splits = load(spec)

    info = describe(spec)
    assert splits.info == info
    assert splits.train.images.shape == (100, 1, 16, 16)
    assert len(splits.validation) == info.num_validation
    assert len(splits.test) == info.num_test
    assert splits.train.images.dtype == torch.uint8
    assert splits.train.labels.dtype == torch.int64


def test_the_three_parts_share_no_image() -> None:
    splits = load(DataSpec(name="digits"))

    train, validation, test = (
        rows(part.images) for part in (splits.train, splits.validation, splits.test)
    )

    assert len(train | validation | test) == 1797  # no scan occurs twice
    assert not train & validation
    assert not (train | validation) & test


def test_every_part_has_its_share_of_every_class() -> None:
    splits = load(DataSpec(name="digits", train_subset=200))

    for part in (splits.train, splits.validation, splits.test):
        counts = torch.bincount(part.labels, minlength=10)
        assert counts.max() - counts.min() <= max(2, len(part) // 50)


def test_another_split_seed_leaves_the_test_part_as_it_was() -> None:
    first = load(DataSpec(name="digits", split_seed=0))
    second = load(DataSpec(name="digits", split_seed=1))

    assert torch.equal(first.test.images, second.test.images)
    assert rows(first.validation.images) != rows(second.validation.images)


def test_a_subset_changes_neither_validation_nor_smaller_subsets() -> None:
    small = load(DataSpec(name="digits", train_subset=100))
    large = load(DataSpec(name="digits", train_subset=300))

    assert torch.equal(small.validation.images, large.validation.images)
    assert torch.equal(small.train.images, large.train.images[:100])


def test_every_prefix_of_the_stratified_order_is_stratified() -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)

    order = stratified_order(labels, seed=3)

    assert order.sort().values.tolist() == list(range(100))
    for n in range(1, 101):
        counts = torch.bincount(labels[order[:n]], minlength=3)
        assert (counts - n * torch.tensor([0.6, 0.3, 0.1])).abs().max() <= 2


def test_a_subset_larger_than_the_training_part_is_refused() -> None:
    with pytest.raises(DataError, match=r"train_subset = 5000, but the training part.*1294"):
        describe(DataSpec(name="digits", train_subset=5000))


def test_a_subset_without_some_class_is_told() -> None:
    (note,) = load(DataSpec(name="digits", train_subset=3)).info.notes

    assert "the training part, of 3 samples, has none of class" in note
    assert note.endswith("and 2 more")


def test_a_folder_given_as_a_data_set_is_answered_with_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data image_folder --data-root .* --image-size 32"):
        DataSpec(name=str(tmp_path))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'fashion_mnist'"):
        DataSpec(name="fashion-mnist")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 3}, "image_size = 3"),
        ({"train_subset": 0}, "train_subset = 0"),
        ({"validation_fraction": 0.9}, "from 0 to 0.5"),
        ({"split_seed": True}, "split_seed = True"),
        ({"num_steps": 4}, r"num_steps = 4 is for event data sets: .* digits has images"),
        (
            {"binning": "count"},
            r"^binning = 'count' \(--binning\) is for event data sets: cifar10dvs, dvs128, nmnist; "
            "digits has images, so leave it out$",
        ),
        ({"name": "nmnist", "num_steps": 65}, "num_steps = 65; it must be .* from 1 to 64"),
    ],
)
def test_an_impossible_setting_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        DataSpec.from_dict({"name": "digits", **settings})


def test_an_unknown_binning_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"no binning is named 'number'.* count, time"):
        DataSpec.from_dict({"name": "nmnist", "binning": "number"})


def test_an_unknown_setting_is_answered_with_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean 'image_size'"):
        DataSpec.from_dict({"name": "digits", "imagesize": 8})


def test_a_spec_of_before_there_were_events_is_still_read() -> None:
    old = {
        "name": "digits",
        "root": None,
        "image_size": None,
        "train_subset": 128,
        "validation_fraction": 0.1,
        "split_seed": 0,
    }

    assert DataSpec.from_dict(old) == DataSpec(name="digits", train_subset=128)


def test_a_network_s_steps_are_the_frames_of_events_and_nothing_to_images() -> None:
    images, events = DataSpec(name="digits"), DataSpec(name="nmnist")

    assert images.with_steps(4) == images
    assert events.with_steps(4) == DataSpec(name="nmnist", num_steps=4)
    assert events.with_steps(4).with_steps(4).num_steps == 4


def test_events_binned_for_another_network_are_refused() -> None:
    with pytest.raises(DataError, match=r"num_steps = 8 frames, but the network has num_steps = 4"):
        DataSpec(name="nmnist", num_steps=8).with_steps(4)


def test_a_spec_survives_json() -> None:
    for spec in (
        DataSpec(name="cifar10", root="/elsewhere", image_size=16, train_subset=50),
        DataSpec(name="dvs128", num_steps=16, binning="count"),
    ):
        assert DataSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_the_fingerprint_covers_the_split_but_not_the_place() -> None:
    here = fingerprint(DataSpec(name="digits", root="/here"))

    assert here == fingerprint(DataSpec(name="digits", root="/there"))
    assert here != fingerprint(DataSpec(name="digits", split_seed=1))


def test_the_root_is_the_spec_s_then_the_environment_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKENAS_DATA", "/from/environment")
    from_environment = DataSpec(name="mnist").folder
    monkeypatch.delenv("SPIKENAS_DATA")

    assert DataSpec(name="mnist", root="/own").folder.as_posix() == "/own"
    assert from_environment.as_posix() == "/from/environment"
    assert DataSpec(name="mnist").folder.as_posix() == "data"
