"""`BalancedDesign`: the first proposals of a search, in which every value comes equally often."""

import random
from typing import Any


class BalancedDesign:
    """Draws number n such that each row of k draws has every one of k values once.

    It is a latin hypercube over the choices, without knowing how many there are.

    Args:
        repeat: gives another draw of the same number.
    """

    def __init__(self, seed: int, number: int, repeat: int = 0) -> None:
        self._seed, self._number, self._repeat = seed, number, repeat

    def choose(self, name: str, values: tuple[Any, ...]) -> Any:
        """Return the value of a choice."""
        row, place = divmod(self._number, len(values))
        order = random.Random(f"{self._seed}/balanced/{name}/{row}/{self._repeat}")
        return order.sample(values, len(values))[place]

    def share(self, name: str, strata: int) -> float:
        """Return a number from 0 to 1; of a row of so many, one lies in each equal part."""
        stratum = self.choose(name, tuple(range(strata)))
        jitter = random.Random(f"{self._seed}/share/{name}/{self._number}").random()
        return float((stratum + jitter) / strata)
