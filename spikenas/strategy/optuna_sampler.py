"""`OptunaSampler`: proposes architectures by a sampler of Optuna's, or of the user's own.

Each `ask` builds its study anew, in memory, from our own record, with a generator seeded by
(seed, n). So a resumed run goes on as the undisturbed one would, and nothing is left RUNNING.

A candidate without a result is told as COMPLETE with the worst values seen, a refused one with
its margins as constraints. Told as FAIL it is forgotten and drawn again: 62 of 75 proposals were
refused, against 26 (TPE, a space of which 78 % breaks the chip's rules; PRUNED equals COMPLETE).
Beside that each method passes its draws through a memory of what was refused, see `_told_values`.
"""

import json
import random
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseGASampler, BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from spikenas.architecture import Architecture
from spikenas.exceptions import UnknownNameError
from spikenas.figures import Figure
from spikenas.registry import Option
from spikenas.search_space.choice_space import ChoiceSpace
from spikenas.strategy.candidates import redrawn
from spikenas.strategy.recorded_sampler import Asked, RecordedSampler

OPTUNA_METHODS = ("tpe", "nsga2", "nsga3", "gp", "random")
optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces each study
_POPULATION = 20  # 63 evaluations to 90 % of the hypervolume; 139 with 50 (SpikeNAS-Bench)
_STARTUP = 10  # TPE's random draws
_PATIENCE = 3  # repeats in a row before the sampler leaves its model
_TRIES = 50


class OptunaSampler(RecordedSampler):
    """Asks a sampler of Optuna's, which sees the record as a study.

    Args:
        method: a name of `OPTUNA_METHODS`, or a sampler of the user's own. That one keeps its own
            random state, so its proposals are not a function of the run's seed.
    """

    def __init__(
        self,
        space: ChoiceSpace[Architecture],
        *,
        method: str | BaseSampler = "tpe",
        seed: int,
        objectives: Sequence[Figure],
        max_observations: int = 2000,
        first: Sequence[Architecture] = (),
    ) -> None:
        if not isinstance(method, BaseSampler) and method not in OPTUNA_METHODS:
            raise UnknownNameError("sampler", method, OPTUNA_METHODS)
        super().__init__(
            space,
            seed=seed,
            objectives=objectives,
            max_observations=max_observations,
            first=first,
        )
        self._method = method

    def _choose(self, number: int, rng: random.Random) -> Mapping[str, Option]:
        if self._repeats_before(number) >= _PATIENCE:
            return self._leave_model(rng)
        return self._ask_model(number, rng)

    def _ask_model(self, number: int, rng: random.Random) -> dict[str, Option]:
        """Draw by the method until a draw is worth a screening, or patience ends."""
        study = self._build_study(number, seed=rng.getrandbits(32))
        told, allowed = self._told_values()
        for _ in range(1 if self._method == "gp" else _TRIES):  # each costs it a second
            trial = study.ask()
            choices = self._draw(trial)
            shares = [(allowed[pair] + 1) / (told[pair] + 1) for pair in trial.params.items()]
            if rng.random() < min(shares, default=1.0):
                break
            study.tell(trial, state=TrialState.FAIL)  # forgotten
        return choices

    def _told_values(self) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
        """Count how often each value was told of, and how often it was not refused.

        A draw passes with the chance of its worst value: the share that was not refused,
        smoothed, so that no member of the space is ever out of reach. Random search has no other
        memory; TPE and NSGA-II are random at first.
        """
        told: Counter[tuple[str, str]] = Counter()
        allowed: Counter[tuple[str, str]] = Counter()
        for asked in self._asked.values():
            if asked.is_final:
                params = _params(asked).items()
                told.update(params)
                if not asked.is_refused:
                    allowed.update(params)
        return told, allowed

    def _draw(self, trial: optuna.Trial) -> dict[str, Option]:
        choices: dict[str, Option] = {}

        def choose(name: str, values: tuple[Option, ...]) -> Option:
            choice = values[0]
            if len(values) > 1:
                parameter, texts = _parameter(name, values)
                choice = values[texts.index(trial.suggest_categorical(parameter, texts))]
            choices[name] = choice
            return choice

        self._space.draw(choose)
        return choices

    def _leave_model(self, rng: random.Random) -> Mapping[str, Option]:
        """Return an unseen neighbour of the front, else an unseen member, else any."""
        for attempt in range(2 * _TRIES):
            kept: dict[str, Option] = {}
            if self._front and attempt < _TRIES:
                kept = dict(rng.choice(self._front).choices)
                kept.pop(rng.choice([*kept]))
            drawn = redrawn(self._space, kept, rng)
            if drawn.key not in self._first_numbers:
                break
        return self._space.choices_of(drawn)

    def _repeats_before(self, number: int) -> int:
        """Count the proposals right before ``number`` that were known when they were made."""
        repeats = 0
        for n in sorted((n for n in self._asked if n < number), reverse=True):
            if self._first_numbers[self._asked[n].architecture.key] == n:
                break
            repeats += 1
        return repeats

    def _build_study(self, number: int, *, seed: int) -> optuna.Study:
        study = optuna.create_study(
            directions=[objective.direction for objective in self._objectives],
            sampler=_build_sampler(self._method, seed),
        )
        if self._method != "random":
            worst = self._worst_values()
            for asked in self._remembered(number):
                study.add_trial(_trial(asked, worst))
        return study

    def _worst_values(self) -> list[float]:
        found = [asked.values for asked in self._asked.values() if asked.values is not None]
        worst = []
        for i, objective in enumerate(self._objectives):
            values = [each[i] for each in found]
            worst.append(max(values, key=objective.loss) if values else 0.0)
        return worst


class _Steady(BaseGASampler):
    """A genetic sampler for conditional choices and for workers that finish in any order.

    Parents are the elite of all that is known: generations would depend on the order of results.
    Optuna crosses only the choices that every candidate has; here a child takes each other one
    from some parent that has it (refused 23 of 75, against 26 where those are drawn at random).
    """

    generator: np.random.Generator

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        """Return 0 while draws are random, then 1."""
        return int(len(self.get_population(study, 0)) >= _POPULATION)

    def get_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """Return everything that is known as generation 0."""
        if generation:
            return []
        return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Inherit a choice that not every candidate has, or mutate."""
        parents = [
            parent
            for parent in self.get_parent_population(study, self.get_trial_generation(study, trial))
            if param_name in parent.params
        ]
        is_crossed = param_name in self.infer_relative_search_space(study, trial)
        mutation_rate = 1 / max(1, len(trial.params))
        if parents and not is_crossed and self.generator.random() >= mutation_rate:
            return parents[self.generator.integers(len(parents))].params[param_name]
        return super().sample_independent(  # type: ignore[safe-super]  # of the other base
            study, trial, param_name, param_distribution
        )


class _SteadyNSGA2(_Steady, optuna.samplers.NSGAIISampler):
    pass


class _SteadyNSGA3(_Steady, optuna.samplers.NSGAIIISampler):
    pass


def _build_sampler(method: str | BaseSampler, seed: int) -> BaseSampler:
    if isinstance(method, BaseSampler):
        return method
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # ``group``, since Optuna 2.8
        match method:
            case "random":
                return optuna.samplers.RandomSampler(seed=seed)
            case "nsga2" | "nsga3":
                kind = _SteadyNSGA2 if method == "nsga2" else _SteadyNSGA3
                sampler = kind(population_size=_POPULATION, seed=seed)
                sampler.generator = np.random.default_rng(seed)
                return sampler
            case "gp":
                return optuna.samplers.GPSampler(
                    n_startup_trials=_STARTUP, warn_independent_sampling=False, seed=seed
                )
        return optuna.samplers.TPESampler(
            n_startup_trials=_STARTUP,
            multivariate=True,
            group=True,
            constant_liar=True,  # keeps away from what is in flight
            seed=seed,
        )


def _trial(asked: Asked, worst: list[float]) -> FrozenTrial:
    params = _params(asked)
    distributions: dict[str, BaseDistribution] = {
        parameter: CategoricalDistribution(texts)
        for parameter, texts in (_parameter(n, v) for n, v in asked.offered.items() if len(v) > 1)
    }
    if not asked.is_final:
        return create_trial(state=TrialState.RUNNING, params=params, distributions=distributions)
    return create_trial(
        params=params,
        distributions=distributions,
        values=worst if asked.values is None else list(asked.values),
        constraints={name: _bounded(margin) for name, margin in asked.margins.items()},
    )


def _bounded(margin: float) -> float:
    """Squeeze a violation into 0..1, so that 10^12 parameters do not hide every other rule."""
    return 1 - 1 / (1 + margin) if margin > 0 else margin


def _params(asked: Asked) -> dict[str, str]:
    """Return a proposal in Optuna's terms."""
    params = {}
    for name, values in asked.offered.items():
        if len(values) > 1:
            parameter, texts = _parameter(name, values)
            params[parameter] = texts[values.index(asked.choices[name])]
    return params


@lru_cache(maxsize=4096)
def _parameter(name: str, values: tuple[Option, ...]) -> tuple[str, tuple[str, ...]]:
    """Return Optuna's name and values: a name there must keep its values, ours need not."""
    texts = tuple(json.dumps(value) for value in values)
    return f"{name} of {', '.join(texts)}", texts
