"""`ObservedSpace`: what the trials of an Optuna study show of its parameters.

A study is define-by-run: which parameters there are, and when, only its trials tell. A parameter
that some trials lack is taken to depend on the first earlier one whose value alone explains where
it was; else it is absent where some earlier value never came with it. A wrong guess costs little:
what the model leaves out, Optuna asks for by itself, and what nobody asks for is passed over.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from spikenas.search_space.choice_space import Choose, Range, Traits

_FEW = 16  # values, of an integer parameter that counts as a choice
_OFFERED = 8  # values of a range that are offered at a time


@dataclass(frozen=True)
class Point:
    """The parameters of one trial."""

    params: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """All names and values."""
        return repr(sorted(self.params.items()))


class ObservedSpace:
    """A `ChoiceSpace` of the parameters that trials have had.

    Args:
        params: of each trial, in the order in which they were suggested.
        distributions: of every parameter, as it is now.
        rng: draws the values of ranges that are offered.
    """

    def __init__(
        self,
        params: Sequence[Mapping[str, Any]],
        distributions: Mapping[str, BaseDistribution],
        rng: random.Random,
    ) -> None:
        self._names = list(dict.fromkeys(name for each in params for name in each))
        self._distributions = distributions
        self._rng = rng
        self._is_live = {
            name: _liveness(name, self._names[:i], params) for i, name in enumerate(self._names)
        }
        self._values = {n: tuple(_values(distributions[n])) for n in self._names if self._is_few(n)}
        self._alike = Counter(self._values.values())

    def draw(self, choose: Choose) -> Point:
        """Make a point, asking for each parameter that seems to be live."""
        params: dict[str, Any] = {}
        for name in self._names:
            if self._is_live[name](params):
                params[name] = choose(name, self._values.get(name) or self._range(name))
        return Point(params)

    def choices_of(self, member: Point) -> Mapping[str, Any]:
        """Return the parameters."""
        return member.params

    def traits(self, choices: Mapping[str, Any]) -> Traits:
        """Take numbers as counts too, and count values over parameters that have the same ones."""
        counts: dict[str, float] = defaultdict(float)
        for name, value in choices.items():
            if not isinstance(self._distributions[name], CategoricalDistribution):
                counts[name] = _to_unit(self._distributions[name], value)
            elif self._alike[self._values.get(name, ())] > 1:
                counts[f"{value!r} of {self._values[name]}"] += 1
        return Traits(
            choices={n: v for n, v in choices.items() if n in self._values},
            counts=dict(counts),
        )

    def _is_few(self, name: str) -> bool:
        distribution = self._distributions[name]
        if isinstance(distribution, IntDistribution):
            steps = (distribution.high - distribution.low) // distribution.step
            return steps < _FEW and not distribution.log
        return distribution.single() or isinstance(distribution, CategoricalDistribution)

    def _range(self, name: str) -> Range:
        distribution = self._distributions[name]
        return Range(
            [from_unit(distribution, (i + self._rng.random()) / _OFFERED) for i in range(_OFFERED)],
            contains=lambda value: distribution._contains(distribution.to_internal_repr(value)),
            near=lambda value, rng: _near(distribution, value, rng),
        )


def from_unit(distribution: BaseDistribution, share: float) -> Any:
    """Return the value that lies at ``share``, 0 to 1, of a numeric distribution."""
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = distribution.low, distribution.high
    if distribution.log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    if distribution.step is not None:
        value = low + round((value - low) / distribution.step) * distribution.step
    value = min(max(value, low), high)
    return int(value) if isinstance(distribution, IntDistribution) else float(value)


def _liveness(
    name: str, before: Sequence[str], params: Sequence[Mapping[str, Any]]
) -> Callable[[Mapping[str, Any]], bool]:
    """Return a function of earlier parameters that says whether there is one of this name."""
    has_it = [name in each for each in params]
    if all(has_it):
        return lambda _: True
    dead: list[tuple[str, frozenset[Any]]] = []
    for other in before:
        found = [each.get(other) for each in params]
        with_it = {v for v, has in zip(found, has_it, strict=True) if has}
        without = {v for v, has in zip(found, has_it, strict=True) if not has}
        if not with_it & without:
            return lambda chosen: chosen.get(other) not in without
        dead.append((other, frozenset(without - with_it)))
    return lambda chosen: all(chosen.get(other) not in values for other, values in dead)


def _values(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if isinstance(distribution, FloatDistribution):
        return [distribution.low]
    return list(range(distribution.low, distribution.high + 1, distribution.step))


def _to_unit(distribution: BaseDistribution, value: float) -> float:
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = distribution.low, distribution.high
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.0


def _near(distribution: BaseDistribution, value: Any, rng: random.Random) -> list[Any]:
    """Return values at distances of three orders."""
    centre = _to_unit(distribution, value)
    shares = [centre + rng.gauss(0.0, spread) for spread in (0.2, 0.2, 0.05, 0.05, 0.01, 0.01)]
    return [from_unit(distribution, min(max(share, 0.0), 1.0)) for share in shares]
