"""`Encoder`: members as the numbers that a Gaussian process compares."""

from collections.abc import Sequence

import numpy as np

from spikenas.search_space.choice_space import Traits
from spikenas.strategy.gaussian_process import Features

_ABSENT = -1


class Encoder:
    """Knows the choices and counts that some members have; others are held against those.

    A choice that a member does not have is a value of its own. Counts are standardised, and those
    in which the members do not differ are left out.
    """

    def __init__(self, basis: Sequence[Traits]) -> None:
        self._choices = list(dict.fromkeys(name for each in basis for name in each.choices))
        self._codes: list[dict[object, int]] = [{} for _ in self._choices]
        names = dict.fromkeys(name for each in basis for name in each.counts)
        counts = np.array([[each.counts.get(name, 0.0) for name in names] for each in basis])
        spread = counts.std(axis=0)
        self._counts = [
            name for name, is_open in zip(names, spread > 1e-12, strict=True) if is_open
        ]
        self._centre = counts.mean(axis=0)[spread > 1e-12]
        self._spread = spread[spread > 1e-12]

    def features(self, traits: Sequence[Traits]) -> Features:
        """Return the numbers of members, in order."""
        codes = np.full((len(traits), len(self._choices)), _ABSENT, dtype=np.int64)
        for j, (name, known) in enumerate(zip(self._choices, self._codes, strict=True)):
            for i, each in enumerate(traits):
                if name in each.choices:
                    codes[i, j] = known.setdefault(each.choices[name], len(known))
        counts = np.array([[each.counts.get(n, 0.0) for n in self._counts] for each in traits])
        counts = counts.reshape(len(traits), len(self._counts))
        return Features(choices=codes, counts=(counts - self._centre) / self._spread)
