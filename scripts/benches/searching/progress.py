"""`Task`: what is to be found in a table, and how much of it a search has found."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from searching.table import Table
from spikenas import pareto
from spikenas.exceptions import UsageError
from spikenas.figures import Figure

_REFERENCE = 1.1  # times the worst values of the true front, which is scaled to 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A share of the full training, and the column of what a row scores by then."""

    column: str
    share: float

    @classmethod
    def parse(cls, text: str, objectives: Sequence[str]) -> "tuple[Rung, ...]":
        """Read ``val5@5,test@100``. Raises UsageError."""
        pairs = [each.strip().partition("@") for each in text.split(",")]
        try:
            epochs = [float(after) for _, _, after in pairs]
        except ValueError:
            raise UsageError(f"--rungs {text}; needed: COLUMN@EPOCHS, as val5@5") from None
        if epochs[0] <= 0 or any(a >= b for a, b in pairwise(epochs)):
            raise UsageError(f"--rungs {text}; the epochs must rise from one rung to the next")
        if pairs[-1][0] not in objectives:
            raise UsageError(
                f"--rungs {text}; the last is of {pairs[-1][0]!r}, which is no objective that is "
                f"maximised; those are {', '.join(objectives) or 'none'}"
            )
        return tuple(
            cls(column=column, share=after / epochs[-1])
            for (column, _, _), after in zip(pairs, epochs, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Objectives and floors.

    Attributes:
        rungs: of a training, the last is the full one.
        floors: by column, the value under which a row is dead.
        shares: objectives given in percent, which samplers are told between 0 and 1.
        best, range: of the true front, by objective, as losses.
        hypervolume: of the true front.
    """

    objectives: tuple[Figure, ...]
    floors: Mapping[str, float]
    shares: frozenset[str]
    best: NDArray[np.float64]
    range: NDArray[np.float64]
    hypervolume: float
    rungs: tuple[Rung, ...] = (Rung(column="", share=1.0),)

    @classmethod
    def of(
        cls,
        table: Table,
        *,
        maximize: Sequence[str],
        minimize: Sequence[str],
        floors: Mapping[str, float],
        rungs: tuple[Rung, ...] = (Rung(column="", share=1.0),),
    ) -> "Task":
        """Find the true front. Raises UsageError where it cannot measure a search."""
        rows = list(table.scores.values())
        columns = {n: np.array([each[n] for each in rows]) for n in [*maximize, *minimize]}
        shares = frozenset(
            n for n in maximize if columns[n].min() >= 0 and 1 < columns[n].max() <= 100
        )
        objectives = [
            Figure(n, "%" if n in shares or columns[n].max() <= 1 else "", "maximize", None, name=n)
            for n in maximize
        ] + [Figure(n, "", "minimize", None, name=n) for n in minimize]
        alive = [row for row in rows if all(row[n] >= floor for n, floor in floors.items())]
        if not alive:
            raise UsageError("no row of the table reaches the floors")
        losses = np.array([[o.loss(row[o.name]) for o in objectives] for row in alive])
        front = losses[pareto.is_non_dominated(losses)]
        spread = np.ptp(front, axis=0)
        if len(objectives) == 1:
            spread = np.ptp(losses, axis=0)
        if not spread.all():
            raise UsageError("the true front has one point; there is no hypervolume to search for")
        task = cls(
            objectives=tuple(objectives),
            floors=dict(floors),
            shares=shares,
            best=front.min(axis=0),
            range=spread,
            hypervolume=1.0,
            rungs=rungs,
        )
        whole = _hypervolume((front - task.best) / task.range, len(objectives))
        return replace(task, hypervolume=whole)

    def cost(self, rung: int) -> float:
        """Return what it takes to train from the rung before, in full trainings."""
        return self.rungs[rung].share - (self.rungs[rung - 1].share if rung else 0.0)

    def losses(self, scores: Mapping[str, float]) -> NDArray[np.float64] | None:
        """Return the scaled losses of a row; None where it is dead."""
        if any(scores[name] < floor for name, floor in self.floors.items()):
            return None
        found = np.array([o.loss(scores[o.name]) for o in self.objectives])
        scaled: NDArray[np.float64] = (found - self.best) / self.range
        return scaled

    def told(self, scores: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
        """Return values and margins as a sampler is told them."""
        values = {
            o.name: scores[o.name] / (100 if o.name in self.shares else 1) for o in self.objectives
        }
        margins = {n: (floor - scores[n]) / (abs(floor) or 1.0) for n, floor in self.floors.items()}
        return values, margins

    def told_at(self, scores: Mapping[str, float], rung: int) -> dict[str, float]:
        """Return the values as a sampler is told them of a lower rung."""
        of = self.rungs[-1].column
        return self.told({**scores, of: scores[self.rungs[rung].column]})[0]


class Progress:
    """The hypervolume found so far, as a share of the table's."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._front = np.empty((0, len(task.objectives)))
        self.share = 0.0

    def add(self, scores: Mapping[str, float]) -> float:
        """Count an evaluated row; return the share."""
        losses = self._task.losses(scores)
        if losses is not None and not (self._front <= losses).all(axis=1).any():
            front = np.concatenate([self._front, losses[None]])
            self._front = front[pareto.is_non_dominated(front)]
            found = _hypervolume(self._front, len(losses))
            self.share = found / self._task.hypervolume
        return self.share


def _hypervolume(front: NDArray[np.float64], num_objectives: int) -> float:
    """Return what a front dominates below the reference, by slices along the last objective."""
    front = front[(front < _REFERENCE).all(axis=1)]
    if len(front) == 0:
        return 0.0
    if num_objectives == 1:
        return float(_REFERENCE - front.min())
    levels = [*np.unique(front[:, -1]), _REFERENCE]
    return sum(
        (top - bottom) * _hypervolume(front[front[:, -1] <= bottom, :-1], num_objectives - 1)
        for bottom, top in itertools.pairwise(levels)
    )
