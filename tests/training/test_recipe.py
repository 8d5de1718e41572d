import json
from typing import Literal

import pytest
from stripes import stripes

from spikenas.data import OwnData, names
from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.training import Recipe, default_recipe, recipe, recipe_names
from spikenas.training.schedule import Schedule


def test_the_official_recipe_of_spikformer_is_as_published() -> None:
    official = recipe("spikformer-cifar10")

    assert (official.epochs, official.batch_size, official.warmup_epochs) == (300, 128, 20)
    assert (official.learning_rate, official.min_learning_rate) == (5e-4, 1e-5)
    assert (official.weight_decay, official.label_smoothing) == (0.06, 0.1)
    assert (official.mixup, official.mixup_off_epoch, official.cutmix) == (0.5, 200, 0.0)
    assert (official.rand_augment_magnitude, official.rand_augment_ops) == (9, 1)
    assert official.random_erasing == 0.25


@pytest.mark.parametrize(
    ("name", "epochs", "learning_rate", "min_learning_rate", "is_mirrored"),
    [
        ("spikformer-cifar10dvs", 96, 1e-3, 1e-5, True),
        ("qkformer-cifar10dvs", 96, 5e-3, 1e-5, True),
        ("qkformer-dvs128", 192, 1e-3, 2e-5, False),  # not: its classes know left from right
    ],
)
def test_the_official_recipes_for_events_are_as_published(
    name: str, epochs: int, learning_rate: float, min_learning_rate: float, is_mirrored: bool
) -> None:
    official = recipe(name)

    assert (official.epochs, official.batch_size, official.warmup_epochs) == (epochs, 16, 10)
    assert official.learning_rate == learning_rate
    assert (official.min_learning_rate, official.warmup_learning_rate) == (min_learning_rate, 1e-5)
    assert (official.weight_decay, official.label_smoothing) == (0.06, 0.1)
    assert (official.mixup, official.mixup_off_epoch, official.cutmix) == (0.5, 75, 0.0)
    assert (official.snn_augment_wide, official.horizontal_flip) == (True, is_mirrored)


def test_digits_of_events_are_not_mirrored() -> None:
    assert not recipe("nmnist").horizontal_flip


@pytest.mark.parametrize(
    ("settings", "kind", "complaint"),
    [
        ({"rand_augment_ops": 1}, "events", "rand_augment_ops = 1 is not for events"),
        ({"snn_augment_wide": True}, "frames", "snn_augment_wide = True is not for images"),
        ({"event_drop": True}, "frames", "event_drop = True is not for images"),
    ],
)
def test_what_is_not_for_such_data_is_refused(
    settings: dict[str, bool], kind: Literal["frames", "events"], complaint: str
) -> None:
    unfit = recipe("digits", **settings)

    with pytest.raises(UsageError, match=complaint):
        unfit.check_kind(kind)


@pytest.mark.parametrize("name", names())
def test_the_default_recipe_is_for_the_data(name: str) -> None:
    kind: Literal["frames", "events"] = (
        "events" if name in ("cifar10dvs", "dvs128", "nmnist") else "frames"
    )

    recipe(default_recipe(name)).check_kind(kind)


def test_the_official_recipe_of_sdt_is_as_published() -> None:
    official = recipe("sdt-cifar10")

    assert (official.epochs, official.batch_size, official.warmup_epochs) == (300, 64, 20)
    assert (official.learning_rate, official.min_learning_rate) == (3e-4, 1e-5)
    assert (official.warmup_learning_rate, official.weight_decay) == (1e-6, 0.06)


def test_the_official_recipe_of_qkformer_for_imagenet_is_as_published() -> None:
    official = recipe("qkformer-imagenet")

    assert (official.epochs, official.batch_size, official.warmup_epochs) == (200, 512, 5)
    assert official.learning_rate == pytest.approx(6e-4 * 512 / 256)
    assert (official.weight_decay, official.label_smoothing) == (0.05, 0.1)
    assert (official.mixup, official.cutmix, official.random_erasing) == (0.0, 0.0, 0.25)
    assert official.rand_augment_magnitude == 9


def test_only_the_recipes_of_stmixer_train_side_heads_and_none_drops_blocks() -> None:
    presets = [recipe(name) for name in recipe_names()]

    with_heads = {each.name for each in presets if each.surrogate_module_learning}
    assert with_heads == {"stmixer-cifar10", "stmixer-imagenet"}
    assert not any(each.stochastic_depth for each in presets)


def test_settings_of_a_preset_can_be_changed() -> None:
    changed = recipe("digits", learning_rate=1e-2, epochs=3)

    assert (changed.learning_rate, changed.epochs) == (1e-2, 3)
    assert changed.batch_size == recipe("digits").batch_size


def test_data_of_others_have_a_recipe_that_augments_nothing_whatever_they_are_called() -> None:
    frames = OwnData(train=stripes(20), name="toy").spec()
    events = OwnData(train=stripes(20, steps=3), name="toy").spec()

    assert [default_recipe(each) for each in (frames, events)] == ["digits", "nmnist"]
    for each in ("digits", "nmnist"):
        chosen = recipe(each)
        assert (chosen.horizontal_flip, chosen.random_crop_padding, chosen.mixup) == (False, 0, 0)


def test_every_data_set_has_a_default_recipe() -> None:
    assert all(default_recipe(name) in recipe_names() for name in names())


def test_an_unknown_recipe_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'spikformer-cifar10'"):
        recipe("spikformer-cifar")


def test_an_unknown_setting_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'learning_rate'"):
        recipe("digits", learningrate=1e-2)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("batch_size", True),
        ("learning_rate", float("nan")),
        ("stochastic_depth", 1.0),
        ("surrogate_module_learning", 1.0),
    ],
)
def test_an_impossible_setting_is_named(setting: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"recipe 'digits': {setting} = {value}; it must be"):
        recipe("digits", **{setting: value})


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_survives_json(name: str) -> None:
    assert Recipe.from_dict(json.loads(json.dumps(recipe(name).to_dict()))) == recipe(name)


def test_the_fingerprint_covers_the_settings_but_not_the_name() -> None:
    renamed = Recipe.from_dict({**recipe("digits").to_dict(), "name": "mine"})

    assert renamed.fingerprint == recipe("digits").fingerprint
    assert recipe("digits", weight_decay=0.5).fingerprint != recipe("digits").fingerprint


LATER = ["event_drop", "snn_augment_wide", "stochastic_depth", "surrogate_module_learning"]


@pytest.mark.parametrize("setting", LATER)
def test_the_fingerprint_tells_of_a_later_setting_only_where_it_is_on(setting: str) -> None:
    value = True if setting in LATER[:2] else 0.5

    on = recipe("nmnist", **{setting: value}).fingerprint

    assert setting in json.loads(on)
    assert setting not in json.loads(recipe("nmnist").fingerprint)


def test_a_recipe_from_before_a_setting_came_is_read_with_its_default() -> None:
    record = {key: v for key, v in recipe("digits").to_dict().items() if key not in LATER}

    assert Recipe.from_dict(record) == recipe("digits")


def test_the_rate_climbs_then_falls_along_a_cosine() -> None:
    schedule = Schedule(
        recipe=recipe(
            "digits",
            epochs=10,
            learning_rate=1.0,
            min_learning_rate=0.2,
            warmup_epochs=2,
            warmup_learning_rate=0.5,
        ),
        epochs=10,
        steps_per_epoch=5,
    )

    rates = [schedule.learning_rate(step) for step in (0, 5, 10, 30, 50)]

    assert rates == pytest.approx([0.5, 0.75, 1.0, 0.6, 0.2])


def test_a_short_budget_warms_up_for_a_quarter_of_it_and_mixes_for_the_same_share() -> None:
    schedule = Schedule(recipe=recipe("spikformer-cifar10"), epochs=12, steps_per_epoch=10)

    rates = [schedule.learning_rate(step) for step in range(120)]

    assert rates.index(max(rates)) == 30
    assert [schedule.is_mixing(epoch) for epoch in (0, 7, 8, 11)] == [True, True, False, False]
