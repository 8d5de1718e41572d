"""`Progress`: how a search stands, told to `on_progress` whenever something changes."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from spikenas.evaluation import Evaluation, State
from spikenas.store import Candidate, Run

ENDS = tuple(state for state in State if state.is_final and state is not State.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How a search stands.

    Attributes:
        counts: candidates by state, every state a key.
        best_accuracy: on the validation split, 0 to 1; None until a candidate is complete.
        remaining_s: an estimate from the trainings so far; None before the first has ended, 0
            where none is left.
        message: what is worth a line of its own; empty mostly.
    """

    run: str
    trials: int
    counts: Mapping[str, int]
    best_accuracy: float | None
    lowest_energy_uj: float | None
    elapsed_s: float
    remaining_s: float | None
    message: str = ""


OnProgress = Callable[[Progress], None]


class Tally:
    """Keeps count of a search.

    Args:
        known: the run's candidates when it is resumed.
        began: when the caller began, by `time.monotonic`.

    Attributes:
        states: of every candidate but duplicates, by its row.
    """

    def __init__(
        self,
        *,
        run: str,
        trials: int,
        time_budget_s: float | None,
        known: Sequence[Candidate],
        began: float,
        on_progress: OnProgress | None,
    ) -> None:
        self._run, self._trials, self._time_budget_s = run, trials, time_budget_s
        self._on_progress = on_progress
        self._began, self._opened = began, time.monotonic()
        self._jobs_ended = 0
        self.states = {each.row: each.state for each in known}
        self._accuracies = [each.accuracy for each in known if each.accuracy is not None]
        self._energies = [each.energy_uj for each in known if each.energy_uj is not None]

    @property
    def num_ended(self) -> int:
        """How many candidates were trained to an end, good or bad."""
        return sum(state in ENDS for state in self.states.values())

    @property
    def time_is_up(self) -> bool:
        """Whether the time budget is spent."""
        elapsed = time.monotonic() - self._began
        return self._time_budget_s is not None and elapsed >= self._time_budget_s

    def note_job(self) -> None:
        """Count a training that ended now."""
        self._jobs_ended += 1

    def note_result(self, evaluation: Evaluation) -> None:
        """Keep the best figures."""
        self._accuracies = [max([evaluation.accuracy, *self._accuracies])]
        self._energies = [min([evaluation.energy_uj, *self._energies])]

    def report(self, message: str = "") -> None:
        """Tell whoever listens how the search stands."""
        if self._on_progress is None:
            return
        counts = Counter(self.states.values())
        self._on_progress(
            Progress(
                run=self._run,
                trials=self._trials,
                counts={state.value: counts[state] for state in State},
                best_accuracy=max(self._accuracies, default=None),
                lowest_energy_uj=min(self._energies, default=None),
                elapsed_s=time.monotonic() - self._began,
                remaining_s=self._remaining_s(),
                message=message,
            )
        )

    def _remaining_s(self) -> float | None:
        if self.num_ended >= self._trials:
            return 0.0
        if not self._jobs_ended:
            return None
        now = time.monotonic()
        per_job = (now - self._opened) / self._jobs_ended
        estimate = per_job * (self._trials - self.num_ended)
        if self._time_budget_s is None:
            return estimate
        return max(0.0, min(estimate, self._began + self._time_budget_s - now))


def no_success(run: Run) -> str:
    """Say what became of all, with the commonest reason."""
    candidates = run.candidates()
    states = Counter(each.state.value for each in candidates)
    reasons = Counter(each.error or each.reason for each in candidates)
    shown = ", ".join(f"{number} {state}" for state, number in states.most_common())
    commonest = next((why for why, _ in reasons.most_common() if why), "")
    return (
        f"run {run.name!r} ended without one successful candidate: "
        f"{shown or 'the budget left room for none'}"
        f"{f'. Commonest reason: {commonest}' if commonest else ''}"
    )
