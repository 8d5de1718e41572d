"""`Table`: members of a search space and their results, read from a CSV file.

A row is a member; columns named as choices hold what it chose, others what it scored. With a cell,
each choice is the operation on an edge of a small graph: edges that lie on no path from its input,
the lowest node, to its output, the highest, are the operation ``none`` in effect.
"""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, prod
from pathlib import Path
from typing import Any

from spikenas.exceptions import UsageError, did_you_mean
from spikenas.search_space.choice_space import Traits

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A member: the values of its choices, as text; ``key`` is that of its canonical form."""

    values: tuple[str, ...]
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The edge of each choice as two nodes, and the value that stands for no edge."""

    edges: tuple[tuple[str, str], ...]
    none: str

    @classmethod
    def parse(cls, text: str, none: str, choices: Sequence[str]) -> "Cell":
        """Read ``01,02,12``. Raises UsageError."""
        names = text.split(",")
        if len(names) != len(choices) or any(len(n) != 2 or n[0] >= n[1] for n in names):
            raise UsageError(
                f"--cell {text}; needed: for each of the {len(choices)} choices its edge, as 01 "
                "for the edge from node 0 to node 1"
            )
        return cls(edges=tuple((name[0], name[1]) for name in names), none=none)

    def canonical(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """Return the values with ``none`` on each edge that lies on no path."""
        live = [edge for edge, v in zip(self.edges, values, strict=True) if v != self.none]
        ends = min(a for a, _ in self.edges), max(b for _, b in self.edges)
        reached = _reached(ends[0], live)
        reaching = _reached(ends[1], [(b, a) for a, b in live])
        return tuple(
            value if a in reached and b in reaching else self.none
            for (a, b), value in zip(self.edges, values, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A `ChoiceSpace` of rows.

    Attributes:
        choices: the values of each choice by its column.
        scores: by the values of the choices, what each other column says.
        known: objectives that need no evaluation.
        folds: whether members are proposed in their canonical form only; our sampler knows it,
            others draw the columns as they are.
    """

    choices: Mapping[str, tuple[str, ...]]
    scores: Mapping[tuple[str, ...], Mapping[str, float]]
    cell: Cell | None = None
    known: tuple[str, ...] = ()
    folds: bool = False
    rows: dict[tuple[str, ...], Row] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, *, choices: Sequence[str], scores: Sequence[str]) -> "Table":
        """Read the named columns. Raises UsageError unless every combination is there once."""
        try:
            with path.open(newline="") as file:
                reader = csv.DictReader(file)
                columns, lines = reader.fieldnames or (), list(reader)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"--table {path} cannot be read: {error}") from None
        for name in [*choices, *scores]:
            if name not in columns:
                raise UsageError(
                    f"{path} has no column {name!r}{did_you_mean(name, columns)}; "
                    f"it has {', '.join(columns) or 'none'}"
                )
        found: dict[tuple[str, ...], Mapping[str, float]] = {}
        for i, line in enumerate(lines, 2):
            values = tuple((line[name] or "").strip() for name in choices)
            if not all(values):
                raise UsageError(f"{path}, line {i}: a choice is empty")
            if values in found:
                raise UsageError(f"{path}, line {i}: the choices {', '.join(values)} came before")
            found[values] = {name: _number(path, i, name, line[name]) for name in scores}
        offered = {
            name: tuple(dict.fromkeys(values[j] for values in found))
            for j, name in enumerate(choices)
        }
        size = prod(len(values) for values in offered.values())
        if len(found) != size or not found:
            missing = _missing(offered, found)
            raise UsageError(
                f"{path} has {len(found):,} of the {size:,} combinations of its choices; missing: "
                f"{missing}. A search needs every row"
            )
        return cls(choices=offered, scores=found)

    def draw(self, choose: Callable[[str, tuple[str, ...]], str]) -> Row:
        """Return the row with the chosen values."""
        values = tuple(choose(name, offered) for name, offered in self.choices.items())
        if values not in self.rows:
            canonical = self.canonical(values)
            self.rows[values] = Row(canonical if self.folds else values, " ".join(canonical))
        return self.rows[values]

    def choices_of(self, row: Row) -> dict[str, str]:
        """Return the choices by column."""
        return dict(zip(self.choices, row.values, strict=True))

    def traits(self, choices: Mapping[str, str]) -> Traits:
        """Return the canonical choices and how often each value occurs."""
        values = self.canonical(tuple(choices.values()))
        return Traits(
            choices=dict(zip(self.choices, values, strict=True)),
            counts={**self._operations(values), **self._numbers(values)},
            known={name: self.scores[values][name] for name in self.known},
        )

    def canonical(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """Return the choices without what changes nothing."""
        return values if self.cell is None else self.cell.canonical(values)

    def _operations(self, values: tuple[str, ...]) -> dict[str, float]:
        """Count values over choices that have the same ones, as the edges of a cell do."""
        alike = Counter(self.choices.values())
        counted: Counter[str] = Counter()
        for offered, value in zip(self.choices.values(), values, strict=True):
            if alike[offered] > 1:
                counted[f"{value} of {','.join(offered)}"] += 1
        return {name: float(count) for name, count in counted.items()}

    def _numbers(self, values: tuple[str, ...]) -> dict[str, float]:
        """Return choices that are numbers and have no others like them."""
        alike = Counter(self.choices.values())
        return {
            name: float(value)
            for (name, offered), value in zip(self.choices.items(), values, strict=True)
            if alike[offered] == 1 and all(_is_number(each) for each in offered)
        }


def _reached(start: str, edges: Sequence[tuple[str, str]]) -> set[str]:
    reached, size = {start}, 0
    while len(reached) > size:
        size = len(reached)
        reached |= {b for a, b in edges if a in reached}
    return reached


def _number(path: Path, line: int, name: str, text: str | None) -> float:
    if text is None or not _is_number(text):
        raise UsageError(f"{path}, line {line}: {name} = {text!r}; needed: a number")
    return float(text)


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _missing(offered: Mapping[str, tuple[str, ...]], found: Mapping[tuple[str, ...], Any]) -> str:
    """Name the first combinations that are not there."""
    missing: list[str] = []
    combinations: list[tuple[str, ...]] = [()]
    for values in offered.values():
        combinations = [(*start, value) for start in combinations for value in values]
        if len(combinations) > 10**6:
            return "too many to name"
    missing = [" ".join(each) for each in combinations if each not in found]
    return "; ".join(missing[:_SHOWN]) + ("; ..." if len(missing) > _SHOWN else "")
