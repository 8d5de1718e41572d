"""`HypervolumeSampler`: the sampler of our searches for anyone's Optuna study.

::

    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=HypervolumeSampler(seed=0)
    )

Any number of objectives; parameters may depend on each other; constraints are those of
`Trial.set_constraint`; trials that run count as evaluated at their prediction, and a failed trial
counts against what it tried. Trial n is a function of the seed, of n and of the other trials.
"""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from spikenas.search_space.choice_space import ChoiceSpace
from spikenas.strategy.balanced_design import BalancedDesign
from spikenas.strategy.hypervolume_search import HypervolumeSearch, Known
from spikenas.strategy.observed_space import ObservedSpace, Point, from_unit

_SEEN = 2000  # trials, the latest
_TOLD = (TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL)


class HypervolumeSampler(BaseSampler):
    """Proposes the trial with the largest expected hypervolume improvement.

    Args:
        seed: None for fresh randomness.
        n_startup_trials: that are balanced over the values of each parameter.
        limits: by objective, the value beyond which a trial is of no use, or None.
        allow_repeats: whether parameters may be proposed again.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        n_startup_trials: int = 10,
        limits: Sequence[float | None] = (),
        allow_repeats: bool = False,
    ) -> None:
        self._seed = random.getrandbits(63) if seed is None else seed
        self._n_startup_trials = n_startup_trials
        self._limits = tuple(limits)
        self._allow_repeats = allow_repeats

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return every parameter that some trial had, once there are enough trials."""
        trials = self._trials(study, trial)
        if len(trials) < self._n_startup_trials:
            return {}
        return {name: d for each in trials for name, d in each.distributions.items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return those of the parameters that the proposed trial should have."""
        trials = self._trials(study, trial) if search_space else []
        params = [{n: v for n, v in each.params.items() if n in search_space} for each in trials]
        if not any(params) or len(trials) < self._n_startup_trials:
            return {
                name: self.sample_independent(study, trial, name, distribution)
                for name, distribution in search_space.items()
            }
        rng = random.Random(f"{self._seed}/{trial.number}")
        space: ChoiceSpace[Point] = ObservedSpace(params, search_space, rng)
        search = HypervolumeSearch(
            space,
            objectives=[str(i) for i in range(len(study.directions))],
            is_score=[
                len(study.directions) == 1 or each == StudyDirection.MAXIMIZE
                for each in study.directions
            ],
            seed=rng.getrandbits(63),
            limits=_losses(study, self._limits),
            allow_repeats=self._allow_repeats,
        )
        record = [_known(study, each, Point(own)) for each, own in zip(trials, params, strict=True)]
        proposed = search.propose(record, trial.number)
        return dict(proposed.params) if proposed is not None else {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return a balanced value; a random one of a range."""
        if isinstance(param_distribution, CategoricalDistribution):
            design = BalancedDesign(self._seed, trial.number)
            return design.choose(param_name, param_distribution.choices)
        design = BalancedDesign(self._seed, trial.number)
        return from_unit(param_distribution, design.share(param_name, self._n_startup_trials))

    def _trials(self, study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
        trials = study.get_trials(deepcopy=False, states=_TOLD)
        return [t for t in trials if t.number != trial.number and t.params][-_SEEN:]


def _losses(study: Study, values: Sequence[float | None]) -> list[float | None]:
    return [
        value if value is None or direction == StudyDirection.MINIMIZE else -value
        for value, direction in zip(values, study.directions, strict=False)
    ]


def _known(study: Study, trial: FrozenTrial, point: Point) -> Known[Point]:
    losses = None
    if trial.state == TrialState.COMPLETE and np.isfinite(trial.values).all():
        losses = tuple(each for each in _losses(study, trial.values) if each is not None)
    return Known(
        member=point,
        losses=losses,
        margins=trial.constraints,
        is_final=trial.state != TrialState.RUNNING,
    )
