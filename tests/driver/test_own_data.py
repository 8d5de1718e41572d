"""A search on data of the user's own: what is kept, reused, resumed and exported."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from stripes import CLASSES, stripes
from torch.utils.data import TensorDataset

import spikenas
from spikenas import driver
from spikenas.cli import main
from spikenas.data import OwnData, data_spec
from spikenas.driver import Progress
from spikenas.driver.conditions import given_again
from spikenas.evaluation import State
from spikenas.exceptions import DataError, UsageError
from spikenas.store import Run, Store

from .conftest import EvaluateBy, Search
from .job_functions import calls

TRAIN, TEST = stripes(80), stripes(20, seed=1)
DATA = (TRAIN, 0.1, TEST)
OTHER = (stripes(80, seed=2), 0.1, TEST)
_SAME = """
import sys
from stripes import stripes
import spikenas
spikenas.search("toy", data=spikenas.OwnData(train=stripes(80), test=stripes(20, seed=1)), trials=2,
                workers="inline", store=sys.argv[1], epochs=1, batch_size=30, train_subset=60,
                name="same")
"""
_EVENTS = """
[choices]
num_steps = STEPS
neuron = "lif"
residual = "spike"
stem = "conv"
patch_size = 2
[[stages]]
embed_dim = [8, 16]
depth = 1
mixer = "conv"
mlp_ratio = 1.0
"""


def test_the_run_keeps_what_the_data_are_and_their_hash_but_no_sample(
    search: Search, url: str
) -> None:
    search(
        name="mine",
        trials=1,
        data=OwnData(train=TRAIN, test=TEST, classes=CLASSES, name="stripes"),
    )

    settings = Store.open(url).run("mine").settings_json
    assert settings["data"]["name"] == "stripes"
    assert settings["data"]["own"]["sha256"] == settings["data_sha256"]
    assert settings["data"]["own"]["survey"]["num_train"] == 80
    assert settings["classes"] == [*CLASSES]
    assert len(json.dumps(settings["data"])) < 2_000


@pytest.mark.parametrize("data", [DATA, (TensorDataset(*TRAIN), 0.1, TensorDataset(*TEST))])
def test_it_ends_with_a_front_that_was_tested(search: Search, data: Any) -> None:
    run = search(data=data)

    assert run.counts()[State.COMPLETE] == 4
    assert all(each.test_accuracy is not None for each in run.pareto_front())


def test_without_a_test_part_the_front_has_no_test_accuracy_and_the_run_is_finished(
    search: Search, url: str, evaluate_by: EvaluateBy
) -> None:
    run = search(name="mine", data=(TRAIN, TEST, None))
    evaluate_by("counted")

    messages: list[str] = []
    again = driver.resume(
        "mine",
        store=url,
        data=(TRAIN, TEST, None),
        on_progress=lambda progress: messages.append(progress.message),
    )

    assert run.status == again.status == "finished"
    assert {each.test_accuracy for each in again.pareto_front()} == {None}
    assert calls() == calls("test") == []
    assert "the search is finished already" in messages


def test_equal_data_are_answered_from_the_store_and_others_are_not(
    search: Search, evaluate_by: EvaluateBy
) -> None:
    search(data=DATA, trials=1)
    evaluate_by("counted")

    search(data=OwnData(train=TensorDataset(*TRAIN), test=TEST, name="other"), trials=1)
    reused = len(calls())
    search(data=OTHER, trials=1)

    assert reused == 0
    assert len(calls()) == 1


def test_another_process_with_equal_data_is_answered_from_the_store(
    search: Search, url: str, tmp_path: Path
) -> None:
    first = search(data=DATA, trials=2)
    here = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])

    ended = subprocess.run(
        [sys.executable, "-c", _SAME, url],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": here},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    same = Store.open(url).run("same")
    assert {attempt.worker for each in same.candidates() for attempt in same.attempts(each)} == {
        f"run {first.name}"
    }


def test_a_resumed_search_ends_as_the_undisturbed_one(
    search: Search, url: str, tmp_path: Path
) -> None:
    undisturbed = search(store=f"sqlite:///{tmp_path}/other.db", data=DATA)
    _interrupted(search, url)

    resumed = spikenas.resume("mine", store=url, data=OwnData(train=TRAIN, test=TEST))

    assert resumed.status == "finished"
    assert _outcomes(resumed) == _outcomes(undisturbed)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, r"which no store keeps; give the same again, in Python: spikenas\.resume\('mine'"),
        ("digits", "give the same, not the data set of a name"),
        (OTHER, r"the samples of data 'own' have SHA-256 .*accept_changes=True"),
        ((TRAIN, None), r"the samples of data 'own' have SHA-256"),
    ],
)
def test_a_run_is_not_resumed_without_its_data(
    search: Search, url: str, data: Any, message: str
) -> None:
    _interrupted(search, url)

    with pytest.raises(UsageError, match=message):
        driver.resume("mine", store=url, data=data)
    assert Store.open(url).run("mine").status == "interrupted"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((TRAIN, 0.2, TEST), "validation_fraction = 0.2, but run 'mine' was begun with 0.1"),
        ({"name": "stripes"}, "name = 'stripes', but run 'mine' was begun with 'own'"),
        ({"image_size": 16}, "image_size = 16, but run 'mine' was begun with None"),
        ({"train_subset": 50}, "train_subset = 50, but run 'mine' was begun with 60"),
        ({"split_seed": 1}, "split_seed = 1, but run 'mine' was begun with 0"),
    ],
)
def test_settings_that_contradict_the_run_are_refused(data: Any, message: str) -> None:
    begun = data_spec(DATA, train_subset=60)
    if isinstance(data, dict):
        data = OwnData(train=TRAIN, test=TEST, **data)

    with pytest.raises(UsageError, match=message):
        given_again("mine", begun, data)


@pytest.mark.parametrize("data", [DATA, (TRAIN, None, TEST), OwnData(train=TRAIN, test=TEST)])
def test_settings_that_are_left_out_are_those_of_the_run(data: Any) -> None:
    begun = data_spec(DATA, train_subset=60, split_seed=1)

    assert given_again("mine", begun, data) == begun


def test_other_data_begin_a_new_generation_where_that_is_accepted(search: Search, url: str) -> None:
    _interrupted(search, url)

    run = driver.resume("mine", store=url, data=OTHER, accept_changes=True)

    assert run.status == "finished"
    assert run.settings.data_sha256 == OwnData(train=OTHER[0], test=TEST).spec().own.sha256
    assert len(run.candidates(include_duplicates=True)) == 4


def test_a_run_on_a_named_set_takes_no_data_to_resume(search: Search, url: str) -> None:
    search(name="mine", trials=1)

    with pytest.raises(UsageError, match="reads its data set digits by itself; leave data out"):
        driver.resume("mine", store=url, data=DATA)


def test_the_command_line_says_how_python_resumes_it(
    search: Search, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _interrupted(search, url)

    assert _ended(["resume", "mine", "--store", url]) == 2
    assert "spikenas.resume('mine', data=...)" in capsys.readouterr().err
    assert run.command("resume") == f"spikenas.resume('mine', data=..., store={url!r})"


@pytest.mark.parametrize("data", [(TRAIN, (TEST[0] / 255, TEST[1])), (TRAIN[0], TRAIN[1] - 1)])
def test_wrong_data_are_refused_before_anything_is_recorded(
    search: Search, tmp_path: Path, data: Any
) -> None:
    with pytest.raises(DataError):
        search(data=data)

    assert not list(tmp_path.glob("*.db"))


def test_an_export_knows_the_classes_and_how_the_images_were_prepared(
    search: Search, url: str, tmp_path: Path
) -> None:
    data = OwnData(train=TRAIN, test=TEST, classes=CLASSES, name="stripes", image_size=16)
    run = search(name="mine", data=data, epochs=4, trials=2, train_subset=None)
    arguments = ["mine", "--best", "accuracy", "--to", str(tmp_path / "best"), "--store", url]

    assert _ended(["export", *arguments]) == 0

    network = spikenas.load(tmp_path / "best")
    labels = network.predict(TEST[0])
    record = json.loads((tmp_path / "best" / "provenance.json").read_text())
    best = run.best("accuracy")
    assert network.classes == CLASSES
    assert network.preprocessing.mean == pytest.approx((float(TRAIN[0].double().mean() / 255),))
    assert float((labels == TEST[1]).float().mean()) == pytest.approx(best.test_accuracy)
    assert torch.equal(network.predict(TEST[0] / 255), labels)
    assert record["data_sha256"] == data.spec().own.sha256
    assert record["data"]["name"] == "stripes"


def test_frames_of_events_are_searched_and_predicted_as_counts(
    search: Search, url: str, tmp_path: Path
) -> None:
    (tmp_path / "space.toml").write_text(_EVENTS.replace("STEPS", "3"))
    train, test = stripes(80, steps=3), stripes(20, seed=1, steps=3)
    run = search(
        name="mine", space="space.toml", data=((train[0].float(), train[1]), 0.2, test), trials=1
    )
    arguments = ["mine", "--to", str(tmp_path / "best"), "--store", url]

    assert _ended(["export", *arguments]) == 0

    network = spikenas.load(tmp_path / "best")
    accuracy = float((network.predict(test[0]) == test[1]).float().mean())
    assert accuracy == pytest.approx(run.best("accuracy").test_accuracy)


def test_frames_of_events_need_a_space_of_as_many_steps(search: Search, tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(_EVENTS.replace("STEPS", "[2, 3]"))

    with pytest.raises(DataError, match="for num_steps = 3, but num_steps = 2 is asked for"):
        search(space="space.toml", data=stripes(80, steps=3))


def _ended(arguments: list[str]) -> object:
    """Run a command in this process and return its exit code."""
    try:
        return main(arguments)
    except SystemExit as ended:
        return ended.code


def _interrupted(search: Search, url: str) -> Run:
    """Search until two candidates are complete and one more is under way, then Ctrl-C."""

    def interrupt(progress: Progress) -> None:
        if progress.counts[State.COMPLETE] == 2 and progress.counts[State.RUNNING]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(name="mine", data=DATA, on_progress=interrupt)
    return Store.open(url).run("mine")


def _outcomes(run: Run) -> list[tuple[int, str, str, float | None, float | None]]:
    return [
        (each.number, each.key, each.state, each.accuracy, each.test_accuracy)
        for each in run.candidates(include_duplicates=True)
    ]
