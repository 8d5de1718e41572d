"""`ChoiceSpace`: a set of named, conditional choices, as samplers see one.

`SearchSpace` is one; so is a table of trained networks in `scripts/benches/search.py`, and so are
the parameters that the trials of an Optuna study have had. A sampler never needs more than to draw
a member, to read its choices back, and to know what a model may learn from.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

Choose = Callable[[str, tuple[Any, ...]], Any]


class Member(Protocol):
    """An element of a space."""

    @property
    def key(self) -> str:
        """Equal for members that are the same in effect, and for no others."""


MemberT = TypeVar("MemberT", bound=Member)


class Range(tuple[Any, ...]):
    """Values of a numeric choice: iterating gives a few of them, ``in`` knows all.

    Args:
        near: returns a few values around one, for a generator.
    """

    def __new__(
        cls,
        offered: Iterable[Any],
        *,
        contains: Callable[[Any], bool],
        near: Callable[[Any, random.Random], list[Any]],
    ) -> "Range":
        """Make a range of which these values are offered."""
        values = super().__new__(cls, offered)
        values._contains, values.near = contains, near
        return values

    _contains: Callable[[Any], bool]
    near: Callable[[Any, random.Random], list[Any]]

    def __contains__(self, value: object) -> bool:
        return value is not None and self._contains(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is known of a member without evaluating it.

    Attributes:
        choices: the live choices by name, without those that change nothing in effect; two values
            are equal or not, whatever their type.
        counts: numbers in which the objectives may be smooth: how often an operator occurs, depth,
            widths.
        known: losses of objectives, by name, that need no evaluation.
    """

    choices: Mapping[str, object]
    counts: Mapping[str, float] = field(default_factory=dict)
    known: Mapping[str, float] = field(default_factory=dict)


class ChoiceSpace(Protocol[MemberT]):
    """A set of members, each made by naming a value for every live choice."""

    def draw(self, choose: Choose) -> MemberT:
        """Make a member, asking ``choose(name, values)`` for each live open choice in turn."""

    def choices_of(self, member: MemberT) -> Mapping[str, Any]:
        """Return what `draw` must be told to make this member."""

    def traits(self, choices: Mapping[str, Any]) -> Traits:
        """Return what a model may learn from, of the member with these choices."""
