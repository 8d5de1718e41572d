"""`WorkerPool`: the protocol of a pool of workers; `open_pool` creates one from a profile."""

import os
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from spikenas.distributed.inline_pool import InlinePool
from spikenas.worker_profile import WorkerProfile

if TYPE_CHECKING:
    from spikenas.data import DataSpec
    from spikenas.evaluator import Job, Outcome


@runtime_checkable
class WorkerPool(Protocol):
    """Runs jobs somewhere; every job comes back as exactly one outcome.

    A pool never tries a job twice: what to do with one that was lost is the driver's to decide.
    """

    @property
    def num_workers(self) -> int:
        """How many jobs can run at once."""

    def warm_up(self, data: "DataSpec") -> None:
        """Let workers load the data set while the driver does something else; returns at once."""

    def submit(self, job: "Job") -> None:
        """Queue a job; returns at once.

        Beside its JSON form a job has weights, and samples where the data are the user's own.
        """

    def next_result(self, timeout_s: float) -> "Outcome | None":
        """Return the next outcome, or None after the time or when no job is under way."""

    def close(self) -> None:
        """End all workers and everything started for them; a second call does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def open_pool(profile: WorkerProfile) -> WorkerPool:
    """Return the pool of a profile; workers start in the background.

    Raises ClusterError if no Ray cluster answers at the profile's address.
    """
    if profile.kind == "inline":
        return InlinePool(threads_per_worker=profile.threads_per_worker)
    # Under `uv run`, Ray would package the working directory, and fail above 512 MiB.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    from spikenas.distributed.ray_pool import RayPool  # noqa: PLC0415  (ray costs 0.7 s)

    return RayPool(profile)
