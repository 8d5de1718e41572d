"""Candidates: the members among which the next proposal is chosen.

All members that differ from one of the front by a single choice, some that differ by two or three,
crossings of two, and a quarter at random, from anywhere in the space. What costs time is drawn
once: neighbours of a member are remembered, and the random part is a window that slides along one
stream of draws, so that an ask draws only a few.
"""

import random
from collections import OrderedDict
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, Generic
from zlib import crc32

from spikenas.search_space.choice_space import ChoiceSpace, MemberT, Range, Traits

_PARENTS = 16  # members of the front that take part in one proposal
_MUTANTS = 24  # of each parent, that differ by two or three choices
_CHILDREN = 8  # of each parent with others
_PATIENCE = 4  # proposals after which mutants and children begin to be others
_RANDOM_SHARE = 0.25
_STRIDE = 8  # by how much the random window moves from one proposal to the next
_REMEMBERED = 50_000
_TRIES = 200


class Candidates(Generic[MemberT]):
    """Draws candidates from a space; a pure function of its arguments.

    Args:
        seed: of the random stream.
    """

    def __init__(self, space: ChoiceSpace[MemberT], seed: int) -> None:
        self._space = space
        self._seed = seed
        self._drawn: OrderedDict[tuple[object, ...], Any] = OrderedDict()
        self._traits: OrderedDict[str, Traits] = OrderedDict()
        self._choices: OrderedDict[str, Mapping[str, Any]] = OrderedDict()

    def around(self, front: Sequence[MemberT], number: int) -> dict[str, MemberT]:
        """Return candidates for proposal ``number`` by key."""
        found: dict[str, MemberT] = {}
        parents = list(front)
        if len(parents) > _PARENTS:
            parents = random.Random(f"{self._seed}/parents/{number}").sample(parents, _PARENTS)
        first = number // _PATIENCE
        for parent in parents:
            mates = sorted(parents, key=lambda mate: crc32(f"{parent.key}{mate.key}".encode()))
            drawn = [
                *self.neighbours(parent),
                *(
                    self._once(("several", parent.key, place), self._mutant, parent)
                    for place in range(first, first + _MUTANTS)
                ),
                *(
                    self._once(("crossed", parent.key, mate.key), self._child, parent, mate)
                    for mate in mates[:_CHILDREN]
                ),
            ]
            found |= {each.key: each for each in drawn}
        num_random = max(50, int(len(found) * _RANDOM_SHARE / (1 - _RANDOM_SHARE)))
        for place in range(number * _STRIDE, number * _STRIDE + num_random):
            drawn = self._once(("random", place), self._sample)
            found[drawn.key] = drawn
        return found

    def neighbours(self, member: MemberT) -> list[MemberT]:
        """Return all members with one choice changed; later ones change only where they must."""
        neighbours: list[MemberT] = self._once(("near", member.key), self._neighbours, member)
        return neighbours

    def unseen(self, seen: Container[str], number: int) -> MemberT | None:
        """Return a random member that is not among ``seen``, or None where none is found."""
        rng = random.Random(f"{self._seed}/unseen/{number}")
        for _ in range(_TRIES):
            drawn = self._redrawn({}, rng)
            if drawn.key not in seen:
                return drawn
        return None

    def _neighbours(self, rng: random.Random, member: MemberT) -> list[MemberT]:
        current = self._choices_of(member)
        offered: dict[str, tuple[Any, ...]] = {}

        def note(name: str, values: tuple[Any, ...]) -> Any:
            kept = current.get(name)
            offered[name] = values
            if isinstance(values, Range) and kept in values:
                offered[name] = (*values, *values.near(kept, rng))
            return _kept(kept, values, rng)

        self._space.draw(note)
        return [
            self._redrawn({**current, name: value}, rng)
            for name, values in offered.items()
            for value in values
            if value != current.get(name)
        ]

    def _mutant(self, rng: random.Random, member: MemberT) -> MemberT:
        """Return a member with two or three choices drawn anew."""
        current = self._choices_of(member)
        anew = rng.sample(sorted(current), min(len(current), rng.choice((2, 3))))
        return self._redrawn({n: v for n, v in current.items() if n not in anew}, rng)

    def _child(self, rng: random.Random, a: MemberT, b: MemberT) -> MemberT:
        parents = self._choices_of(a), self._choices_of(b)

        def choose(name: str, values: tuple[Any, ...]) -> Any:
            inherited = [p[name] for p in parents if name in p and p[name] in values]
            return rng.choice(inherited or values)

        return self._space.draw(choose)

    def _sample(self, rng: random.Random) -> MemberT:
        return self._redrawn({}, rng)

    def traits(self, member: MemberT) -> Traits:
        """Return what a model may learn from; remembered."""
        if member.key not in self._traits:
            _remember(self._traits, member.key, self._space.traits(self._choices_of(member)))
        return self._traits[member.key]

    def _redrawn(self, kept: Mapping[str, Any], rng: random.Random) -> MemberT:
        made: dict[str, Any] = {}

        def choose(name: str, values: tuple[Any, ...]) -> Any:
            made[name] = _kept(kept.get(name), values, rng)
            return made[name]

        drawn = self._space.draw(choose)
        _remember(self._choices, drawn.key, made)
        return drawn

    def _choices_of(self, member: MemberT) -> Mapping[str, Any]:
        if member.key not in self._choices:
            _remember(self._choices, member.key, self._space.choices_of(member))
        return self._choices[member.key]

    def _once(self, name: tuple[object, ...], draw: Callable[..., Any], *given: MemberT) -> Any:
        """Return what has this name; draw it at first, with a generator of its own."""
        if name not in self._drawn:
            _remember(self._drawn, name, draw(random.Random(f"{self._seed}/{name}"), *given))
        return self._drawn[name]


def _remember(memory: OrderedDict[Any, Any], name: object, value: object) -> None:
    memory[name] = value
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)


def redrawn(space: ChoiceSpace[MemberT], kept: Mapping[str, Any], rng: random.Random) -> MemberT:
    """Return a member that has the choices ``kept`` where it can, and the others at random."""
    return space.draw(lambda name, values: _kept(kept.get(name), values, rng))


def _kept(value: Any, values: tuple[Any, ...], rng: random.Random) -> Any:
    return value if value in values else rng.choice(values)
