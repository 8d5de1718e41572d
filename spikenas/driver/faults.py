"""`Faults`: jobs that the data, the code or the machine kept from running, one after another."""

from collections.abc import Callable

from spikenas.evaluator import Outcome
from spikenas.exceptions import DataError, MachineError, SpikeNASError, UsageError

MOST = 3  # in a row
MOST_OF_ONE = 4  # of one candidate, while others run: then it is its own
_KINDS: dict[str, type[SpikeNASError]] = {
    "data": DataError,
    "code": UsageError,
    "machine": MachineError,
}


class Faults:
    """Counts them; a job that runs begins the count anew."""

    def __init__(self, resume: str, report: Callable[[str], None]) -> None:
        self._resume, self._report = resume, report
        self._count = 0

    def note(self, outcome: Outcome) -> None:
        """Count an outcome with a fault; raise its error when there were `MOST` in a row."""
        assert outcome.fault is not None
        self._count += 1
        if self._count < MOST:
            self._report(f"a job could not run and is tried again: {outcome.error}")
            return
        raise _KINDS[outcome.fault](
            f"{self._count} jobs in a row could not run, none by its own fault; the last one: "
            f"{outcome.error}. Mend that, then `{self._resume}` goes on"
        )

    def forget(self) -> None:
        """Begin anew, as a job has run."""
        self._count = 0


def can_go_on(error: BaseException) -> bool:
    """Whether `resume` finds the run as if it had been interrupted."""
    return not isinstance(error, Exception) or isinstance(error, UsageError | MachineError)
