"""`Faults`: jobs that the data, the code or the machine kept from running; lost workers."""

from collections import Counter
from collections.abc import Callable

from spikenas.evaluation import State
from spikenas.evaluator import Outcome
from spikenas.exceptions import DataError, MachineError, SpikeNASError, UsageError

MOST = 3  # in a row
MOST_OF_ONE = 4  # of one job while others run: then it is its own
_KINDS: dict[str, type[SpikeNASError]] = {
    "data": DataError,
    "code": UsageError,
    "machine": MachineError,
}


class Faults:
    """Decides whether a job is run again, and stops the search after `MOST` faults in a row.

    Args:
        max_attempts: how often a job may lose its worker before it is given up.
    """

    def __init__(self, resume: str, report: Callable[[str], None], max_attempts: int) -> None:
        self._resume, self._report, self._max_attempts = resume, report, max_attempts
        self._in_a_row = 0
        self._losses: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()

    def count(self, outcome: Outcome) -> bool:
        """Count an outcome; return whether its job must run again."""
        if outcome.fault is not None:
            self._faults[outcome.job_id] += 1
            if self._faults[outcome.job_id] < MOST_OF_ONE:
                self._in_a_row += 1
                return True
        self._in_a_row = 0
        if outcome.state is not State.LOST:
            return False
        self._losses[outcome.job_id] += 1
        return self._losses[outcome.job_id] < self._max_attempts

    def tell(self, outcome: Outcome, candidate: str) -> None:
        """Report why a job runs again; raise its error when there were `MOST` faults in a row."""
        if outcome.fault is None:
            self._report(f"candidate {candidate} lost its worker; it is tried again")
        elif self._in_a_row < MOST:
            self._report(f"a job could not run and is tried again: {outcome.error}")
        else:
            raise _KINDS[outcome.fault](
                f"{self._in_a_row} jobs in a row could not run, none by its own fault; the last "
                f"one: {outcome.error}. Mend that, then `{self._resume}` goes on"
            )


def can_go_on(error: BaseException) -> bool:
    """Whether `resume` finds the run as if it had been interrupted."""
    return not isinstance(error, Exception) or isinstance(error, UsageError | MachineError)
