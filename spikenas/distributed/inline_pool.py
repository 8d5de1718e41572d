"""`InlinePool`: jobs one by one in the driver's own process; for tests, debugging, first steps.

It has no time limit and survives no crash of a job. Everything else is as with Ray: the same
messages cross and the same checks are made, so what runs here runs there.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Self

from spikenas.distributed.worker import EVALUATE, run_job

if TYPE_CHECKING:
    from spikenas.data import DataSpec
    from spikenas.evaluator import Job, Outcome


class InlinePool:
    """A pool of one: `next_result` runs the next job itself and takes as long as the job does.

    Args:
        evaluate: the function from job to outcome, as ``module:function``.
        threads_per_worker: of PyTorch while a job runs; None leaves them as they are.
    """

    num_workers = 1

    def __init__(self, evaluate: str = EVALUATE, threads_per_worker: int | None = None) -> None:
        self._evaluate = evaluate
        self._threads = threads_per_worker
        self._queue: deque[Job] = deque()

    def warm_up(self, data: "DataSpec") -> None:
        """Do nothing; there is no other process to prepare."""

    def submit(self, job: "Job") -> None:
        """Queue a job."""
        self._queue.append(job)

    def next_result(self, timeout_s: float) -> "Outcome | None":
        """Run the oldest job and return its outcome; None when there is none."""
        if not self._queue:
            return None
        from spikenas.distributed.serialization import pack_job, unpack_outcome  # noqa: PLC0415

        job = self._queue.popleft()
        with _torch_threads(self._threads):
            samples = job.data.own.arrays if job.data.own else None
            message = run_job(resolve_name(self._evaluate), pack_job(job), samples)
        return replace(unpack_outcome(message, job), worker="inline")

    def close(self) -> None:
        """Forget the queued jobs."""
        self._queue.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


@contextmanager
def _torch_threads(number: int | None) -> Iterator[None]:
    """Compute with so many threads, and leave the process as it was."""
    import torch  # noqa: PLC0415

    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
