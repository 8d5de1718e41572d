"""`OptunaSampler`: proposes architectures; the only door to Optuna.

Proposal n is a function of the run's seed, n and the set of observations, nothing else: each
`ask` builds its study anew, in memory, from our own record, with a generator seeded by (seed, n).
So a resumed run goes on as the undisturbed one would, and nothing can be left RUNNING.

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
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState, create_trial

from spikenas import pareto
from spikenas.architecture import Architecture
from spikenas.exceptions import UnknownNameError
from spikenas.figures import Figure
from spikenas.registry import Option
from spikenas.search_space import SearchSpace

Method = Literal["tpe", "nsga2", "random"]
METHODS: tuple[str, ...] = get_args(Method)
optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces each study
_POPULATION = 20  # 63 evaluations to 90 % of the hypervolume; 139 with 50 (SpikeNAS-Bench)
_STARTUP = 10  # TPE's random draws
_PATIENCE = 3  # repeats in a row before the sampler leaves its model
_TRIES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the sampler wants to know about next."""

    number: int
    architecture: Architecture
    choices: Mapping[str, Option]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What became of a proposal.

    Attributes:
        values: by objective; None where there is no result.
        margins: by constraint, at most 0 where it is kept; the same names in every observation.
        is_final: False while it is in flight.
    """

    number: int
    choices: Mapping[str, Option]
    values: Mapping[str, float] | None = None
    margins: Mapping[str, float] | None = None
    is_final: bool = True


@dataclass(slots=True, kw_only=True)
class _Member:
    """A proposal in Optuna's terms."""

    architecture: Architecture
    params: dict[str, str]
    distributions: dict[str, BaseDistribution]
    values: tuple[float, ...] | None = None
    margins: dict[str, float] = field(default_factory=dict)
    is_final: bool = False

    @property
    def is_refused(self) -> bool:
        return any(margin > 0 for margin in self.margins.values())


class OptunaSampler:
    """Asks for architectures of a space and learns from what became of them.

    Args:
        first: members of the space that are the first proposals, in this order.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        method: str = "tpe",
        seed: int,
        objectives: Sequence[Figure],
        max_observations: int = 2000,
        first: Sequence[Architecture] = (),
    ) -> None:
        if method not in METHODS:
            raise UnknownNameError("sampler", method, METHODS)
        self._space = space
        self._method = method
        self._seed = seed
        self._objectives = tuple(objectives)
        self._max_observations = max_observations
        self._first = tuple(first)
        self._members: dict[int, _Member] = {}

    def ask(self, number: int) -> Proposal:
        """Return proposal ``number``; it counts as in flight until it is told."""
        rng = random.Random(f"{self._seed}/{number}")
        if number < len(self._first):
            choices = self._space.choices_of(self._first[number])
        elif self._repeats_before(number) >= _PATIENCE:
            choices = self._leave_model(rng)
        else:
            choices = self._ask_model(number, rng)
        member = self._follow(choices)
        self._members[number] = member
        return Proposal(number=number, architecture=member.architecture, choices=choices)

    def tell(
        self,
        number: int,
        values: Mapping[str, float] | None,
        margins: Mapping[str, float] | None = None,
    ) -> None:
        """Learn what became of proposal ``number``; ``values`` None means that it has no result."""
        member = self._members[number]
        if values is not None:
            found = tuple(float(values[objective.name]) for objective in self._objectives)
            member.values = found if np.isfinite(found).all() else None
        member.margins = dict(margins or {})
        member.is_final = True

    def restore(self, observations: Sequence[Observation]) -> None:
        """Take over what an earlier process asked and was told."""
        for seen in observations:
            self._members[seen.number] = self._follow(seen.choices)
            if seen.is_final:
                self.tell(seen.number, seen.values, seen.margins)

    def _ask_model(self, number: int, rng: random.Random) -> dict[str, Option]:
        """Draw by the method until a draw is worth a screening, or patience ends."""
        study = self._build_study(number, seed=rng.getrandbits(32))
        told, allowed = self._told_values()
        for _ in range(_TRIES):
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
        for member in self._members.values():
            if member.is_final:
                told.update(member.params.items())
                if not member.is_refused:
                    allowed.update(member.params.items())
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

    def _leave_model(self, rng: random.Random) -> dict[str, Option]:
        """Return an unseen neighbour of the front, else an unseen member, else any."""
        seen = {member.architecture.key for member in self._members.values()}
        finished = [member for member in self._members.values() if member.values is not None]
        front = [
            member
            for member, on_front in zip(finished, self._is_on_front(finished), strict=True)
            if on_front
        ]
        drawn = self._space.sample(rng)
        for attempt in range(2 * _TRIES):
            if drawn.key not in seen:
                break
            if front and attempt < _TRIES:
                drawn = self._space.mutate(rng.choice(front).architecture, rng)
            else:
                drawn = self._space.sample(rng)
        return self._space.choices_of(drawn)

    def _repeats_before(self, number: int) -> int:
        """Count the proposals right before ``number`` that were known when they were made."""
        keys = [self._members[n].architecture.key for n in sorted(self._members) if n < number]
        first_seen = {key: n for n, key in reversed(list(enumerate(keys)))}
        repeats = 0
        while repeats < len(keys) and first_seen[keys[-1 - repeats]] < len(keys) - 1 - repeats:
            repeats += 1
        return repeats

    def _is_on_front(self, members: Sequence[_Member]) -> list[bool]:
        losses = [
            [o.loss(value) for o, value in zip(self._objectives, member.values or (), strict=True)]
            for member in members
        ]
        return [bool(is_in) for is_in in pareto.is_non_dominated(losses)]

    def _follow(self, choices: Mapping[str, Option]) -> _Member:
        """Walk the space along known choices and note what was offered on the way."""
        params: dict[str, str] = {}
        distributions: dict[str, BaseDistribution] = {}

        def choose(name: str, values: tuple[Option, ...]) -> Option:
            known = choices[name]  # JSON has lists where options have tuples
            choice = values[values.index(tuple(known) if isinstance(known, list) else known)]
            if len(values) > 1:
                parameter, texts = _parameter(name, values)
                params[parameter] = texts[values.index(choice)]
                distributions[parameter] = CategoricalDistribution(texts)
            return choice

        architecture = self._space.draw(choose)
        return _Member(architecture=architecture, params=params, distributions=distributions)

    def _build_study(self, number: int, *, seed: int) -> optuna.Study:
        study = optuna.create_study(
            directions=[objective.direction for objective in self._objectives],
            sampler=_build_sampler(self._method, seed),
        )
        if self._method != "random":
            worst = self._worst_values()
            for member in self._remembered(number):
                study.add_trial(_trial(member, worst))
        return study

    def _remembered(self, number: int) -> list[_Member]:
        """Return what the model learns from, in order: repeats tell nothing new, and not too many.

        Where there are too many: half of the room for the front and the latest, the rest at random.
        """
        unique: dict[str, tuple[int, _Member]] = {}
        for n in sorted(n for n in self._members if n < number):
            unique.setdefault(self._members[n].architecture.key, (n, self._members[n]))
        known = list(unique.values())
        room = self._max_observations
        if len(known) > room:
            finished = [(n, member) for n, member in known if member.values is not None]
            on_front = self._is_on_front([member for _, member in finished])
            front = {n for (n, _), is_in in zip(finished, on_front, strict=True) if is_in}
            recent = {n for n, _ in known[-room // 2 :]}
            known.sort(key=lambda pair: _precedence(self._seed, pair[0], front, recent))
            known = sorted(known[:room], key=lambda pair: pair[0])
        return [member for _, member in known]

    def _worst_values(self) -> list[float]:
        found = [member.values for member in self._members.values() if member.values is not None]
        worst = []
        for i, objective in enumerate(self._objectives):
            values = [each[i] for each in found]
            worst.append(max(values, key=objective.loss) if values else 0.0)
        return worst


class _SteadyNSGAII(optuna.samplers.NSGAIISampler):
    """NSGA-II for spaces with conditional choices and for workers that finish in any order.

    Parents are the elite of all that is known: generations would depend on the order of results.
    Optuna crosses only the choices that every candidate has; here a child takes each other one
    from some parent that has it (refused 23 of 75, against 26 where those are drawn at random).
    """

    def __init__(self, *, seed: int) -> None:
        super().__init__(population_size=_POPULATION, seed=seed)
        self._generator = np.random.default_rng(seed)

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
        if parents and not is_crossed and self._generator.random() >= mutation_rate:
            return parents[self._generator.integers(len(parents))].params[param_name]
        return super().sample_independent(study, trial, param_name, param_distribution)


def _build_sampler(method: str, seed: int) -> optuna.samplers.BaseSampler:
    if method == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if method == "nsga2":
        return _SteadyNSGAII(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # ``group``, since Optuna 2.8
        return optuna.samplers.TPESampler(
            n_startup_trials=_STARTUP,
            multivariate=True,
            group=True,
            constant_liar=True,  # keeps away from what is in flight
            seed=seed,
        )


def _trial(member: _Member, worst: list[float]) -> FrozenTrial:
    if not member.is_final:
        return create_trial(
            state=TrialState.RUNNING, params=member.params, distributions=member.distributions
        )
    return create_trial(
        params=member.params,
        distributions=member.distributions,
        values=worst if member.values is None else list(member.values),
        constraints={name: _bounded(margin) for name, margin in member.margins.items()},
    )


def _bounded(margin: float) -> float:
    """Squeeze a violation into 0..1, so that 10^12 parameters do not hide every other rule."""
    return 1 - 1 / (1 + margin) if margin > 0 else margin


def _parameter(name: str, values: tuple[Option, ...]) -> tuple[str, tuple[str, ...]]:
    """Return Optuna's name and values: a name there must keep its values, ours need not."""
    texts = tuple(json.dumps(value) for value in values)
    return f"{name} of {', '.join(texts)}", texts


def _precedence(seed: int, number: int, front: set[int], recent: set[int]) -> tuple[int, float]:
    """Return who stays, low first; the random part is the same at each ask."""
    rank = 0 if number in front else 1 if number in recent else 2
    return rank, random.Random(f"{seed}/rest/{number}").random() if rank == 2 else -number
