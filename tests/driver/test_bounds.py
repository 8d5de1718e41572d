"""Bounds on objectives: refused before training where a trace tells, else told to the sampler."""

import json
from inspect import signature

import pytest

from spikenas import Limits, driver
from spikenas.cli.search import search as command
from spikenas.driver.proposals import Proposals
from spikenas.exceptions import InfeasibleError, NotFoundError, UsageError
from spikenas.figures import OBJECTIVES

from .conftest import Search


def test_what_a_trace_tells_is_refused_before_training(search: Search) -> None:
    run = search(limits=Limits(bounds={"macs": 60_000, "latency_steps": 2}), trials=3)

    for candidate in run.candidates():
        told = {name for name, margin in candidate.margins.items() if margin > 0}
        assert (candidate.state == "refused") == bool(told & {"macs bound", "latency_steps bound"})
    assert all(each.macs <= 60_000 for each in run.pareto_front())


def test_a_bound_that_no_member_can_keep_ends_the_search_before_it_begins(search: Search) -> None:
    with pytest.raises(InfeasibleError, match=r"macs = [\d,]+, but its bound is 1\b"):
        search(bounds={"macs": 1})


def test_the_sampler_learns_how_far_a_result_is_off_and_again_when_resumed(
    search: Search, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[int, dict[str, float]] = {}
    tell = Proposals.tell

    def watched(self, number, values, margins):
        told[number] = dict(margins)
        tell(self, number, values, margins)

    monkeypatch.setattr(Proposals, "tell", watched)

    run = search(name="mine", bounds={"accuracy": 0.9, "energy_uj": 0.001}, trials=2)

    for candidate in run.candidates():
        margins = told[candidate.number]
        assert margins["accuracy bound"] == pytest.approx(0.9 - candidate.accuracy)
        assert margins["energy_uj bound"] == pytest.approx(candidate.energy_uj / 0.001 - 1)
    again = driver.entry._observation(run.candidates()[0], run.settings)
    assert again.margins == told[again.number]


def test_bounds_are_a_filter_of_candidates_and_are_kept_with_the_run(search: Search) -> None:
    messages: list[str] = []
    run = search(
        bounds={"accuracy": 0.0, "energy_uj": 1e6},
        trials=2,
        on_progress=lambda progress: messages.append(progress.message),
    )

    where = run.settings.limits.where
    assert where == "accuracy >= 0 and energy_uj <= 1000000"
    assert run.best("accuracy", where) == run.best("accuracy")
    assert f"2 of 2 candidates have {where}" in messages
    with pytest.raises(NotFoundError, match="no complete candidate with accuracy > 2"):
        run.best("accuracy", "accuracy > 2")
    assert json.loads(json.dumps(run.settings_json))["limits"]["bounds"]["energy_uj"] == 1e6


@pytest.mark.parametrize(
    ("bounds", "complaint"),
    [
        ({"acuracy": 0.9}, "did you mean 'accuracy'"),
        ({"accuracy": 90}, r"bounds\['accuracy'\] = 90; needed: a number from 0 to 1"),
        ({"energy_uj": "low"}, r"bounds\['energy_uj'\] = 'low'"),
        ({"energy_uj": float("nan")}, "needed: a number from 0"),
        (["energy_uj"], "bounds = .*needed: as"),
    ],
)
def test_a_wrong_bound_is_named_before_anything_is_recorded(
    search: Search, bounds: object, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        search(bounds=bounds)


def test_every_objective_can_be_bounded_on_the_command_line() -> None:
    for name, figure in OBJECTIVES.items():
        side = "min" if figure.direction == "maximize" else "max"
        assert f"{side}_{name}" in signature(command).parameters
