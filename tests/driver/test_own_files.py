"""Wherever a search takes a name it takes a file, and what the file said stays with the run."""

from dataclasses import replace
from pathlib import Path

import pytest

from spikenas import driver
from spikenas.exceptions import UsageError
from spikenas.hardware import ChipProfile, chip, energy_model
from spikenas.store import Store
from spikenas.training import Recipe
from spikenas.worker_profile import WorkerProfile

from .conftest import Search

_LAB = """
name = "lab_chip"
title = "The chip of our laboratory"
updates = "every_step"
[readings.lab]
title = "power meter on the board"
[readings.lab.synaptic_event]
pj = 8.0
source = "lab book, page 12"
grade = "tool"
"""
_SHORT = 'name = "short"\nepochs = 1\nbatch_size = 30\nlearning_rate = 0.01\n'


@pytest.fixture
def lab_chip(tmp_path: Path) -> Path:
    path = tmp_path / "lab_chip.toml"
    path.write_text(_LAB)
    return path


def test_a_search_scores_by_an_energy_model_of_the_user_s_own(
    search: Search, url: str, lab_chip: Path
) -> None:
    run = search(energy_model=lab_chip, trials=1)

    candidate = run.pareto_front()[0]
    settings = run.settings
    assert (settings.energy_model, settings.energy_toml) == ("lab_chip", _LAB)
    with Store.open(url) as store:
        workload = store.evaluation(candidate).workload
    assert candidate.energy_uj == energy_model(lab_chip).estimate(workload).total_uj
    assert settings.claims(run.name)["energy_model_sha256"]


def test_an_energy_model_that_is_edited_later_does_not_change_a_resumed_run(
    search: Search, url: str, lab_chip: Path
) -> None:
    run = search(name="mine", energy_model=lab_chip, trials=1)
    lab_chip.unlink()

    assert driver.resume("mine", store=url).counts() == run.counts()


def test_results_are_shared_by_the_text_of_an_energy_model_not_by_its_name(
    search: Search, url: str, lab_chip: Path
) -> None:
    run = search(energy_model=lab_chip, trials=1)
    settings = run.settings
    member = run.pareto_front()[0].architecture
    edited = replace(settings, energy_toml=_LAB.replace("8.0", "9.0"))

    keys = {each.reuse_key(member, "data") for each in (settings, edited)}

    assert len(keys) == 2
    with Store.open(url) as store:
        assert store.find_results(settings.reuse_key(member, "data")) == []


@pytest.mark.parametrize(
    ("image_size", "is_warned"), [(16, True), (None, False)], ids=["resized", "as-written"]
)
def test_images_other_than_those_that_a_space_is_written_for_are_warned_of(
    search: Search, caplog: pytest.LogCaptureFixture, image_size: int | None, is_warned: bool
) -> None:
    run = search(space="digits", image_size=image_size, trials=1)

    side = image_size or 8
    assert run.candidates()[0].architecture.input.height == side
    told = "'digits' is written for frames of 1x8x8, but digits has frames of 1x16x16 here"
    assert (told in caplog.text) is is_warned


def test_a_search_trains_by_a_recipe_of_the_user_s_own(search: Search, tmp_path: Path) -> None:
    path = tmp_path / "short.toml"
    path.write_text(_SHORT)

    run = search(recipe=path, batch_size=20, epochs=None, trials=1)

    recipe = run.settings.recipe
    assert (recipe.name, recipe.epochs, recipe.batch_size) == ("short", 1, 20)


def test_whatever_has_a_name_can_be_an_object(search: Search, lab_chip: Path) -> None:
    own_recipe = Recipe(name="own", epochs=1, batch_size=30, learning_rate=0.01)

    run = search(
        chip=chip("async_generic"),
        energy_model=energy_model(lab_chip),
        recipe=own_recipe,
        workers=WorkerProfile(kind="inline"),
        trials=1,
    )

    settings = run.settings
    assert (settings.chip_toml, settings.energy_toml) == (chip("async_generic").toml, _LAB)
    assert settings.recipe == own_recipe
    assert settings.workers == WorkerProfile(kind="inline")


def test_an_object_without_a_text_that_a_run_could_keep_is_refused(
    search: Search, lab_chip: Path
) -> None:
    generic, model = chip("async_generic"), energy_model(lab_chip)
    bare = ChipProfile(name="bare", title="t", clock="none", source="s", rules=generic.rules)

    with pytest.raises(UsageError, match=r"'bare' was not read from a text.*from_toml"):
        search(chip=bare)
    with pytest.raises(UsageError, match="'lab_chip' cannot be found by another process"):
        search(energy_model=replace(model, toml=None))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("epoch = 1", r"short\.toml: recipe\.epoch is not a setting.*did you mean 'epochs'"),
        ("mixup = 'much'", r"short\.toml: recipe 'short': mixup = 'much'; it must be a number"),
        ("horizontal_flip = 1", "horizontal_flip = 1; it must be true or false"),
        ("mixup = ", r"short\.toml: is not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_told_with_its_file(
    search: Search, tmp_path: Path, line: str, complaint: str
) -> None:
    path = tmp_path / "short.toml"
    path.write_text(f"{_SHORT}{line}\n")

    with pytest.raises(UsageError, match=complaint):
        search(recipe=path)
