"""What a bench prints: one JSON document on stdout, a table for people on stderr."""

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch

from measuring.machine import load_average, machine, versions
from measuring.rounds import Rounds
from spikenas.distributed.allocator import keep_freed_memory

_MARGIN = 0.05  # a bar is met by what lies within 5 % of it
_ENOUGH_ROUNDS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One figure held against its bar.

    Attributes:
        figure: what the bar is for, such as a factor.
        unit: of the figure; ``x`` is times faster than the peer.
        bar: None where only the figure is wanted.
        is_ceiling: whether the figure should be below the bar.
        rounds: that it is the median of, None where it is not one.
        details: whatever else belongs to it, ready for JSON.
    """

    name: str
    figure: float
    unit: str = "x"
    bar: float | None = None
    is_ceiling: bool = False
    rounds: int | None = None
    details: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of_rounds(
        cls,
        name: str,
        rounds: Mapping[str, Rounds],
        *,
        ours: str = "ours",
        peer: str = "peer",
        bar: float | None,
        **details: object,
    ) -> "Result":
        """Return how many times faster ours is, with every round of every side."""
        mine, theirs = rounds[ours], rounds[peer]
        return cls(
            name=name,
            figure=mine.times_faster_than(theirs),
            bar=bar,
            rounds=len(mine.wall_ms),
            details={
                "median_ms": {side: round(each.median_ms, 3) for side, each in rounds.items()},
                "factor_of_cpu_time": round(mine.times_less_cpu_than(theirs), 3),
                "factor_by_round": [
                    round(b / a, 3) for a, b in zip(mine.wall_ms, theirs.wall_ms, strict=True)
                ],
                **details,
                "rounds_wall_ms": {s: _rounded(each.wall_ms) for s, each in rounds.items()},
                "rounds_cpu_ms": {s: _rounded(each.cpu_ms) for s, each in rounds.items()},
            },
        )

    @property
    def is_met(self) -> bool | None:
        """Whether the figure lies within the margin of its bar, or on its good side.

        None where there is no bar, or too few rounds for a verdict.
        """
        if self.bar is None or (self.rounds is not None and self.rounds < _ENOUGH_ROUNDS):
            return None
        if self.is_ceiling:
            return self.figure <= self.bar * (1.0 + _MARGIN)
        return self.figure >= self.bar * (1.0 - _MARGIN)

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "figure": round(self.figure, 3),
            "unit": self.unit,
            "bar": self.bar,
            "bar_is": "at most" if self.is_ceiling else "at least",
            "met": self.is_met,
            **self.details,
        }


def print_document(
    bench: str,
    measure: Callable[[], Iterable[Result]],
    *,
    threads: int,
    settings: Mapping[str, object],
) -> None:
    """Run a bench with so many threads and print what it found."""
    torch.set_num_threads(threads)
    keeps_memory = keep_freed_memory()  # for both sides; SpikingJelly gains more by it
    before, results = load_average(), []
    for result in measure():
        results.append(result)
        _show(result)  # as it comes: a bench takes minutes
    document = {
        "bench": bench,
        "command": shlex.join(sys.argv),
        "settings": dict(settings),
        "machine": {
            **machine(),
            "load_before": before,
            "load_after": load_average(),
            "keeps_freed_memory": keeps_memory,
        },
        "versions": versions(),
        "results": [result.to_dict() for result in results],
    }
    print(json.dumps(document, indent=1))


def _show(result: Result) -> None:
    bar = ""
    if result.bar is not None:
        verdict = {True: "met", False: "NOT MET", None: "too few rounds"}[result.is_met]
        bar = f"   bar {'<=' if result.is_ceiling else '>='} {result.bar:g}   {verdict}"
    medians = result.details.get("median_ms")
    told = ""
    if isinstance(medians, Mapping):
        told = "   " + ", ".join(f"{side} {ms:.4g} ms" for side, ms in medians.items())
    print(f"{result.name:58} {result.figure:8.3g} {result.unit:3}{bar}{told}", file=sys.stderr)


def _rounded(figures: list[float]) -> list[float]:
    return [round(figure, 3) for figure in figures]
