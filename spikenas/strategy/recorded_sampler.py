"""`RecordedSampler`: keeps the record of proposals that our samplers choose the next one from."""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest

import numpy as np

from spikenas import pareto
from spikenas.architecture import Architecture
from spikenas.figures import Figure
from spikenas.registry import Option
from spikenas.search_space.choice_space import ChoiceSpace
from spikenas.strategy.sampler import Observation, Proposal


@dataclass(slots=True, kw_only=True)
class Asked:
    """A proposal and what is known of it.

    Attributes:
        rungs: what it scored on the way, by share of the full budget.
        offered: by choice, the values that there were.
        priority: at random, low for those that are remembered longest.
    """

    number: int
    architecture: Architecture
    choices: Mapping[str, Option]
    offered: Mapping[str, tuple[Option, ...]]
    priority: float
    values: tuple[float, ...] | None = None
    margins: dict[str, float] = field(default_factory=dict)
    is_final: bool = False
    rungs: dict[float, tuple[float, ...]] = field(default_factory=dict)
    is_paused: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether a constraint is broken."""
        return any(margin > 0 for margin in self.margins.values())


class RecordedSampler(ABC):
    """Asks for architectures of a space and learns from what became of them.

    Proposal n is a function of the run's seed, n and the set of observations, nothing else.

    Args:
        max_observations: that a proposal is chosen from, at most.
        first: members of the space that are the first proposals, in this order.
    """

    def __init__(
        self,
        space: ChoiceSpace[Architecture],
        *,
        seed: int,
        objectives: Sequence[Figure],
        max_observations: int = 2000,
        first: Sequence[Architecture] = (),
    ) -> None:
        self._space = space
        self._seed = seed
        self._objectives = tuple(objectives)
        self._max_observations = max_observations
        self._first = tuple(first)
        self._asked: dict[int, Asked] = {}
        self._first_numbers: dict[str, int] = {}  # by key
        self._front: list[Asked] = []

    def ask(self, number: int) -> Proposal:
        """Return proposal ``number``; it counts as in flight until it is told."""
        rng = random.Random(f"{self._seed}/{number}")
        if number < len(self._first):
            choices = self._space.choices_of(self._first[number])
        else:
            choices = self._choose(number, rng)
        return self._proposal(number, choices)

    def tell(
        self,
        number: int,
        values: Mapping[str, float] | None,
        margins: Mapping[str, float] | None = None,
    ) -> None:
        """Learn what became of proposal ``number``; ``values`` None means that it has no result."""
        asked = self._asked[number]
        if values is not None:
            found = self._row(values)
            asked.values = found if np.isfinite(found).all() else None
        asked.margins = dict(margins or {})
        asked.is_final, asked.is_paused = True, False
        if asked.values is not None and not asked.is_refused:
            joined = [*self._front, asked]
            is_in = pareto.is_non_dominated([self._losses(each) for each in joined])
            self._front = [each for each, on_front in zip(joined, is_in, strict=True) if on_front]

    def restore(self, observations: Sequence[Observation]) -> None:
        """Take over what an earlier process asked and was told."""
        for seen in observations:
            self._enter(seen.number, seen.choices)
            asked = self._asked[seen.number]
            asked.rungs = {rung: self._row(values) for rung, values in seen.rungs.items()}
            asked.is_paused = seen.is_paused
            if seen.is_final:
                self.tell(seen.number, seen.values, seen.margins)

    @abstractmethod
    def _choose(self, number: int, rng: random.Random) -> Mapping[str, Option]:
        """Return the choices of proposal ``number``."""

    def _proposal(self, number: int, choices: Mapping[str, Option]) -> Proposal:
        asked = self._enter(number, choices)
        return Proposal(number=number, architecture=asked.architecture, choices=asked.choices)

    def _row(self, values: Mapping[str, float]) -> tuple[float, ...]:
        return tuple(float(values[objective.name]) for objective in self._objectives)

    def _losses(self, asked: Asked) -> list[float]:
        return [o.loss(v) for o, v in zip(self._objectives, asked.values or (), strict=True)]

    def _enter(self, number: int, choices: Mapping[str, Option]) -> Asked:
        """Build the member, and note it."""
        made: dict[str, Option] = {}
        offered: dict[str, tuple[Option, ...]] = {}

        def choose(name: str, values: tuple[Option, ...]) -> Option:
            offered[name] = values
            known = choices[name]  # JSON has lists where options have tuples
            made[name] = values[values.index(tuple(known) if isinstance(known, list) else known)]
            return made[name]

        asked = Asked(
            number=number,
            architecture=self._space.draw(choose),
            choices=made,
            offered=offered,
            priority=random.Random(f"{self._seed}/rest/{number}").random(),
        )
        self._asked[number] = asked
        key = asked.architecture.key
        self._first_numbers[key] = min(number, self._first_numbers.get(key, number))
        return asked

    def _remembered(self, number: int) -> list[Asked]:
        """Return what the next proposal is chosen from, in order: repeats tell nothing new.

        Where there is too much: half of the room for the front and the latest, the rest at random.
        """
        known = [self._asked[n] for n in sorted(self._first_numbers.values()) if n < number]
        room = self._max_observations
        if len(known) > room:
            front = {each.number for each in self._front if each.number < number}
            recent = {each.number for each in known[-(room // 2) :]}

            def precedence(asked: Asked) -> tuple[int, float]:
                if asked.number in front:
                    return 0, -asked.number
                return (1, -asked.number) if asked.number in recent else (2, asked.priority)

            known = sorted(nsmallest(room, known, key=precedence), key=lambda each: each.number)
        return known
