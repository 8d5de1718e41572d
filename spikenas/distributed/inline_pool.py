"""`InlinePool`: runs jobs one by one in the driver's process, for tests, debugging, first steps.

It has no time limit and does not survive the crash of a job. Everything else is as with Ray: jobs
and results are serialized and checked in the same way.
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
    """A pool of one worker: `next_result` runs the next job and returns when it has ended.

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
        """Do nothing, as there is no other process."""

    def submit(self, job: "Job") -> None:
        """Queue a job."""
        self._queue.append(job)

    def next_result(self, timeout_s: float) -> "Outcome | None":
        """Run the oldest job and return its outcome; None if there is none."""
        if not self._queue:
            return None
        from spikenas.distributed.serialization import pack_job, unpack_outcome  # noqa: PLC0415

        job = self._queue.popleft()
        with _torch_threads(self._threads):
            samples = job.data.own.arrays if job.data.own else None
            message = run_job(resolve_name(self._evaluate), pack_job(job), samples)
        return replace(unpack_outcome(message, job), worker="inline")

    def close(self) -> None:
        """Drop the queued jobs."""
        self._queue.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


@contextmanager
def _torch_threads(number: int | None) -> Iterator[None]:
    """Set the number of PyTorch's threads within the context."""
    import torch  # noqa: PLC0415

    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
