"""`ModelSampler`: proposes what should add most to the front; the default of a search.

The first proposals are balanced: every value of a choice comes equally often. Then
`HypervolumeSearch` chooses; no architecture is proposed twice while there are others.
"""

import random
from collections.abc import Mapping, Sequence

import numpy as np

from spikenas.architecture import Architecture
from spikenas.figures import Figure
from spikenas.registry import Option
from spikenas.search_space.choice_space import ChoiceSpace
from spikenas.strategy.balanced_design import BalancedDesign
from spikenas.strategy.hypervolume_search import HypervolumeSearch, Known
from spikenas.strategy.recorded_sampler import Asked, RecordedSampler
from spikenas.strategy.sampler import Proposal

_BALANCED = 10  # proposals, before the model chooses
_TRIES = 50


class ModelSampler(RecordedSampler):
    """Asks for the member with the largest expected hypervolume improvement.

    Args:
        limits: by name of an objective, the value beyond which a candidate is of no use.
    """

    def __init__(
        self,
        space: ChoiceSpace[Architecture],
        *,
        seed: int,
        objectives: Sequence[Figure],
        max_observations: int = 2000,
        first: Sequence[Architecture] = (),
        limits: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(
            space,
            seed=seed,
            objectives=objectives,
            max_observations=max_observations,
            first=first,
        )
        limits = limits or {}
        self._final: dict[int, list[Known[Architecture]]] = {}  # by number of the proposal
        self._search = HypervolumeSearch(
            space,
            objectives=[objective.name for objective in objectives],
            is_score=[objective.direction == "maximize" for objective in objectives],
            seed=seed,
            limits=[_loss(o, limits[o.name]) if o.name in limits else None for o in objectives],
        )

    def pause(self, number: int, values: Mapping[str, float], rung: float) -> None:
        """Learn what proposal ``number`` scored at a share of the full budget; it may go on."""
        asked = self._asked[number]
        asked.rungs[rung] = self._row(values)
        asked.is_paused = True

    def next_step(self, number: int) -> Proposal | int:
        """Return proposal ``number``, or the number of a paused one that should rather go on."""
        paused = [each for each in self._remembered(number) if each.is_paused]
        chosen = self._chosen(number, random.Random(f"{self._seed}/{number}"), paused)
        for each in paused:
            if chosen.key == each.architecture.key:
                each.is_paused = False
                return each.number
        return self._proposal(number, self._space.choices_of(chosen))

    def _choose(self, number: int, rng: random.Random) -> Mapping[str, Option]:
        return self._space.choices_of(self._chosen(number, rng, ()))

    def _chosen(self, number: int, rng: random.Random, paused: Sequence[Asked]) -> Architecture:
        asked = self._remembered(number)
        told = [each for each in asked if not (each.is_final and each.is_refused)]
        proposed = None
        if len(told) < _BALANCED:
            proposed = self._balanced(number)
        if proposed is None:
            record = [known for each in asked for known in self._known(each)]
            may_go_on = [(each.architecture, max(each.rungs)) for each in paused]
            proposed = self._search.propose(record, number, may_go_on)
        if proposed is None:  # every member that was found is known
            proposed = self._space.draw(lambda _, values: rng.choice(values))
        return proposed

    def _balanced(self, number: int) -> Architecture | None:
        """Return an unseen member of the balanced design, or None where there seems to be none."""
        for repeat in range(_TRIES):
            drawn = self._space.draw(BalancedDesign(self._seed, number, repeat).choose)
            if self._first_numbers.get(drawn.key, number) >= number:
                return drawn
        return None

    def _losses(self, asked: Asked) -> list[float]:
        return list(self._losses_of(asked.values or ()))

    def _losses_of(self, values: Sequence[float]) -> tuple[float, ...]:
        return tuple(_loss(o, value) for o, value in zip(self._objectives, values, strict=True))

    def _known(self, asked: Asked) -> list[Known[Architecture]]:
        if asked.number not in self._final:
            known = self._known_now(asked)
            if not asked.is_final:
                return known
            self._final[asked.number] = known
        return self._final[asked.number]

    def _known_now(self, asked: Asked) -> list[Known[Architecture]]:
        known = [
            Known(member=asked.architecture, losses=self._losses_of(values), rung=rung)
            for rung, values in sorted(asked.rungs.items())
            if np.isfinite(values).all()
        ]
        if not asked.is_paused:
            last = Known(
                member=asked.architecture,
                losses=None if asked.values is None else self._losses_of(asked.values),
                margins=asked.margins,
                is_final=asked.is_final,
            )
            known.append(last)
        return known


def _loss(objective: Figure, value: float) -> float:
    """Return the loss, positive also for an accuracy: its error."""
    return objective.loss(value) + (objective.unit == "%" and objective.direction == "maximize")
