from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import TrialState

from spikenas.strategy.hypervolume_sampler import HypervolumeSampler


class TestOptunasOwnTests(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    @pytest.fixture(params=[3, 10])
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        return lambda: HypervolumeSampler(seed=0, n_startup_trials=request.param)


def test_it_finds_the_best_of_one_objective_with_conditional_parameters() -> None:
    def objective(trial: optuna.Trial) -> float:
        kind = trial.suggest_categorical("kind", ["a", "b", "c"])
        if kind == "a":
            return 1.0 + (trial.suggest_float("x", -1, 1) - 0.3) ** 2
        if kind == "b":
            return (trial.suggest_float("y", -1, 1) - 0.5) ** 2 + trial.suggest_int("z", 0, 3)
        return 2.0

    study = _study(["minimize"])
    study.optimize(objective, n_trials=40)

    assert study.best_params["kind"] == "b"
    assert study.best_value < 0.01


def test_three_objectives_are_improved_beyond_what_random_draws_find() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        chosen = [trial.suggest_categorical(f"c{i}", list(range(6))) for i in range(6)]
        return tuple(float(abs(sum(chosen) - 10 * j) + chosen[j] * 3) for j in range(3))

    found = []
    for sampler in (HypervolumeSampler(seed=1), optuna.samplers.RandomSampler(seed=1)):
        study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
        study.optimize(objective, n_trials=50)
        found.append(_hypervolume(study, [60.0] * 3))

    assert found[0] > found[1]


def test_constraints_steer_it_to_what_is_allowed() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        chosen = [trial.suggest_categorical(f"c{i}", list(range(4))) for i in range(5)]
        trial.set_constraint("even", float(chosen[0] % 2) - 0.5)
        return float(sum(chosen)), float(-(chosen[0] + chosen[1]))

    study = _study(["minimize", "minimize"])
    study.optimize(objective, n_trials=40)

    late = study.trials[20:]
    assert sum(trial.constraints["even"] > 0 for trial in late) <= len(late) // 4


def test_failed_trials_keep_it_away() -> None:
    def objective(trial: optuna.Trial) -> float:
        chosen = [trial.suggest_categorical(f"c{i}", list(range(4))) for i in range(4)]
        if chosen[0] == 0:
            raise RuntimeError
        return float(sum(chosen))

    study = _study(["minimize"])
    study.optimize(objective, n_trials=40, catch=RuntimeError)

    late = [trial.state for trial in study.trials[20:]]
    assert late.count(TrialState.FAIL) <= 5
    assert study.best_value == 1.0


def test_trials_in_flight_are_never_twins() -> None:
    study = _study(["minimize", "maximize"])
    space = {f"c{i}": CategoricalDistribution(list(range(4))) for i in range(4)}
    for _ in range(15):
        trial = study.ask(space)
        study.tell(trial, [float(sum(trial.params.values())), float(trial.params["c0"])])

    asked = [study.ask(space) for _ in range(30)]

    assert len({tuple(sorted(trial.params.items())) for trial in asked}) == 30


def test_equal_seeds_give_equal_studies() -> None:
    once, again, other = (
        [trial.params for trial in _quadratic(HypervolumeSampler(seed=seed)).trials]
        for seed in (3, 3, 4)
    )

    assert once == again
    assert once != other


def test_repeats_are_proposed_only_when_allowed() -> None:
    study = _quadratic(HypervolumeSampler(seed=0))

    assert len({str(trial.params) for trial in study.trials}) == len(study.trials)


def _quadratic(sampler: BaseSampler) -> optuna.Study:
    study = optuna.create_study(sampler=sampler)
    study.optimize(
        lambda t: t.suggest_float("x", -1, 1) ** 2 + t.suggest_int("n", 0, 5), n_trials=20
    )
    return study


def _study(directions: list[str]) -> optuna.Study:
    return optuna.create_study(directions=directions, sampler=HypervolumeSampler(seed=0))


def _hypervolume(study: optuna.Study, reference: list[float]) -> float:
    """By draws from the box below the reference point."""
    draws = np.random.default_rng(0).uniform(0, reference, (5000, len(reference)))
    front = np.array([trial.values for trial in study.best_trials])
    return float((front[None] <= draws[:, None]).all(axis=2).any(axis=1).mean())
