"""`search_table`: one search by one sampler, with what it found and what that cost."""

import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from searching.progress import Progress, Task
from searching.table import Row, Table
from spikenas import pareto
from spikenas.strategy.sampler import RungSampler, Sampler


@dataclass(slots=True)
class Found:
    """One search.

    Attributes:
        spent: after each job, in full trainings.
        shares: of the table's hypervolume, found by then.
        seconds: of each proposal.
        keys: of the rows that were evaluated, different in effect.
    """

    spent: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def evaluations_to(self, percent: int) -> float | None:
        """Return how many full trainings it took, None where the budget was not enough."""
        reached = (n for n, share in self._curve() if share >= percent / 100)
        return next(reached, None)

    def share_at(self, evaluations: float) -> float:
        """Return what was found by then."""
        return max((share for n, share in self._curve() if n <= evaluations), default=0.0)

    def _curve(self) -> list[tuple[float, float]]:
        return [(round(n, 6), share) for n, share in zip(self.spent, self.shares, strict=True)]


@dataclass(slots=True)
class _Candidate:
    row: Row
    rung: int = 0  # that it is trained to next


def search_table(sampler: Sampler, table: Table, task: Task, *, budget: int, pending: int) -> Found:
    """Run jobs, first in, first out; each trains a row to its next rung.

    A sampler that knows rungs decides what goes on. With others a candidate goes on at once if no
    earlier one at its rung is better in every objective.
    """
    progress, found = Progress(task), Found()
    candidates: dict[int, _Candidate] = {}
    queue: deque[int] = deque()
    at_rungs: dict[int, list[list[float]]] = {}
    spent = 0.0
    while spent < budget - 1e-9:
        while len(queue) < pending:
            began = time.perf_counter()
            queue.append(_next(sampler, candidates))
            found.seconds.append(time.perf_counter() - began)
        number = queue.popleft()
        candidate = candidates[number]
        rung, scores = candidate.rung, table.scores[candidate.row.values]
        spent += task.cost(rung)
        candidate.rung += 1
        if candidate.rung == len(task.rungs):
            progress.add(scores)
            sampler.tell(number, *task.told(scores))
        else:
            values = task.told_at(scores, rung)
            losses = [o.loss(values[o.name]) for o in task.objectives]
            earlier = at_rungs.setdefault(rung, [])
            earlier.append(losses)
            if isinstance(sampler, RungSampler):
                sampler.pause(number, values, task.rungs[rung].share)
            elif pareto.is_non_dominated(np.array(earlier))[-1]:
                queue.appendleft(number)
            else:
                sampler.tell(number, values)
        found.keys.add(candidate.row.key)
        found.spent.append(spent)
        found.shares.append(progress.share)
    return found


def _next(sampler: Sampler, candidates: dict[int, _Candidate]) -> int:
    """Return the number of the candidate to train, a new one or one that goes on."""
    number = len(candidates)
    step = sampler.next_step(number) if isinstance(sampler, RungSampler) else sampler.ask(number)
    if isinstance(step, int):
        return step
    candidates[number] = _Candidate(step.architecture)
    return number
