"""`alternate`: time several ways of doing the same, one after another, round by round.

What else the machine does then weighs on all of them alike, and a round is its own comparison.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """Of one side, one figure a round: by the clock, and CPU time of all threads of the process."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        """By the clock."""
        return median(self.wall_ms)

    def times_faster_than(self, other: "Rounds") -> float:
        """Return the median of the rounds' own factors, by the clock."""
        return _factor(self.wall_ms, other.wall_ms)

    def times_less_cpu_than(self, other: "Rounds") -> float:
        """Return the same of CPU time, which other work on the machine disturbs less."""
        return _factor(self.cpu_ms, other.cpu_ms)


def alternate(
    sides: Mapping[str, Callable[[], object]], *, rounds: int, calls: int = 1, warm_up: int = 2
) -> dict[str, Rounds]:
    """Call every side ``calls`` times in each round; every second round runs them backwards."""
    for side in sides.values():
        for _ in range(warm_up):
            side()
    timed = {name: Rounds() for name in sides}
    for i in range(rounds):
        for name in list(sides)[:: -1 if i % 2 else 1]:
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(calls):
                sides[name]()
            timed[name].wall_ms.append(1e3 * (time.perf_counter() - wall) / calls)
            timed[name].cpu_ms.append(1e3 * (time.process_time() - cpu) / calls)
    return timed


def _factor(ours: list[float], theirs: list[float]) -> float:
    return median(b / a for a, b in zip(ours, theirs, strict=True))
