"""`RayPool`: each worker is a Ray actor; Ray neither restarts actors nor retries calls.

The driver decides whether to repeat a lost job, so the pool only reports the loss and replaces the
actor. It uses `ray.kill`, which also ends a loop in C, unlike `ray.cancel`.
"""

import json
import logging
import sys
import threading
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from spikenas.distributed.ray_session import RaySession, amounts, free_resources
from spikenas.distributed.worker import EVALUATE, Worker
from spikenas.evaluation import State
from spikenas.exceptions import ClusterError
from spikenas.worker_profile import WorkerProfile

if TYPE_CHECKING:
    from spikenas.data import DataSpec
    from spikenas.distributed.serialization import Message
    from spikenas.evaluator import Job, Outcome

_TICK_S = 0.5  # between looks at the clock while waiting for Ray
_STARVED_S = 15.0
_SPARE_STARTS = 2  # above one for each seat, before failing workers end the search
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seat:
    """A slot for one worker, with its current job."""

    actor: Any
    warm: Future[Any] | None  # done once the worker is ready; None afterwards
    since: float  # when the worker was asked for, or took up its job
    name: str = ""
    job: "Job | None" = None
    result: Future[Any] | None = None


class RayPool:
    """Workers on this machine or a cluster; see `WorkerPool` for the methods.

    Args:
        profile: of kind ``ray``.
        evaluate: the function from job to outcome, as ``module:function``.

    Raises ClusterError if no Ray cluster answers at the profile's address.
    """

    def __init__(self, profile: WorkerProfile, evaluate: str = EVALUATE) -> None:
        self._profile = profile
        self._evaluate = evaluate
        self._data: DataSpec | None = None
        self._samples: dict[str, Any] = {}  # objects of Ray, by the SHA-256 of what they hold
        self._queue: deque[tuple[Job, Message]] = deque()
        self._done: deque[Outcome] = deque()
        self._seats: list[_Seat] = []
        self._failed_starts = 0
        self._is_warned = False
        self._lock = threading.Lock()  # the seats are taken in the session's thread
        self._session = RaySession(profile, self._take_seats)

    @property
    def num_workers(self) -> int:
        """How many jobs can run at once; with ``auto``, waits until Ray is up."""
        if self._profile.num_workers != "auto":
            return self._profile.num_workers
        self._session.wait()
        return len(self._seats)

    def warm_up(self, data: "DataSpec") -> None:
        """Let every worker, and every later one, load the data set before its first job."""
        with self._lock:
            self._data = data
            for seat in self._seats:
                if seat.job is None:
                    seat.warm = self._warming(seat.actor)

    def submit(self, job: "Job") -> None:
        """Queue a job; it starts as soon as a worker is ready."""
        from spikenas.distributed.serialization import pack_job  # noqa: PLC0415  (imports torch)

        self._queue.append((job, pack_job(job)))
        if self._session.is_up:
            self._hand_out()

    def next_result(self, timeout_s: float) -> "Outcome | None":
        """Return the next outcome.

        Raises ClusterError if Ray cannot be started, its head is gone, or no worker starts within
        ``startup_timeout_s``.
        """
        deadline = time.monotonic() + timeout_s
        while not self._done:
            if not self._queue and not any(seat.job for seat in self._seats):
                return None
            remaining = max(0.0, deadline - time.monotonic())
            if self._session.wait(remaining):
                self._hand_out()
                self._look(min(remaining, _TICK_S))
                self._end_overdue()
                self._watch_starts()
            if not remaining and not self._done:
                return None
        return self._done.popleft()

    def close(self) -> None:
        """End the workers, and also Ray if this pool started it."""
        self._queue.clear()
        with self._lock:
            for seat in self._seats:
                _kill(seat.actor)
            self._seats = []
            self._samples.clear()
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _take_seats(self, number: int) -> None:
        with self._lock:
            self._seats = [self._new_seat() for _ in range(number)]

    def _new_seat(self) -> _Seat:
        actor_class: Any = ray.remote(Worker)
        actor = actor_class.options(
            num_cpus=self._profile.cpus_per_worker,
            num_gpus=self._profile.gpus_per_worker,
            max_restarts=0,
            max_task_retries=0,
        ).remote(
            self._evaluate,
            self._profile.threads_per_worker,
            has_gpu=self._profile.gpus_per_worker > 0,
            folders=_folders(),
        )
        return _Seat(actor, self._warming(actor), time.monotonic())

    def _warming(self, actor: Any) -> Future[Any]:
        """Have a worker load the data set, if one was named so far."""
        text = self._data and json.dumps(self._data.to_dict())
        warm: Future[Any] = actor.warm_up.remote(text, self._samples_of(self._data)).future()
        return warm

    def _samples_of(self, data: "DataSpec | None") -> Any:
        """Return the reference to the user's own samples in Ray's object store, put there once."""
        own = data and data.own
        if not own or own.arrays is None:
            return None
        if own.sha256 not in self._samples:
            self._samples[own.sha256] = ray.put(own.arrays)
        return self._samples[own.sha256]

    def _replace(self, seat: _Seat) -> None:
        _kill(seat.actor)
        fresh = self._new_seat()
        seat.actor, seat.warm, seat.since = fresh.actor, fresh.warm, fresh.since
        seat.name, seat.job, seat.result = "", None, None

    def _hand_out(self) -> None:
        for seat in self._seats:
            if self._queue and seat.warm is None and seat.job is None:
                seat.job, (text, weights) = self._queue.popleft()
                # Weights above 100 KB become an object of Ray by themselves.
                samples = self._samples_of(seat.job.data)
                seat.result = seat.actor.run.remote(text, weights, samples).future()
                seat.since = time.monotonic()

    def _look(self, timeout_s: float) -> None:
        """Wait until a worker is ready or has a result, and process all that are.

        Not by `ray.wait`, which turns an exception of a SIGTERM handler into SystemExit(1).
        """
        waiting = [future for seat in self._seats if (future := seat.warm or seat.result)]
        wait(waiting, timeout_s, FIRST_COMPLETED)
        for seat in self._seats:
            if seat.warm is not None and seat.warm.done():
                self._greet(seat, seat.warm)
            elif seat.result is not None and seat.result.done():
                self._collect(seat, seat.result)

    def _greet(self, seat: _Seat, warm: Future[Any]) -> None:
        try:
            host, process = warm.result()
        except RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= len(self._seats) + _SPARE_STARTS:
                raise ClusterError(
                    f"workers do not start, {self._failed_starts} in a row; the last one: {error}"
                ) from error
            self._replace(seat)
        else:
            self._failed_starts = 0
            self._session.note_worker(process)
            seat.name, seat.warm = f"{host}/{process}", None

    def _collect(self, seat: _Seat, result: Future[Any]) -> None:
        from spikenas.distributed.serialization import unpack_outcome  # noqa: PLC0415  (imports torch)

        assert seat.job is not None
        try:
            message = result.result()
        except OutOfMemoryError as error:
            self._give_up(seat, State.OUT_OF_MEMORY, _first_line(error))
        except RayTaskError as error:  # the worker failed to return an outcome
            self._give_up(seat, State.FAILED, str(error))
        except RayError as error:
            self._give_up(seat, State.LOST, f"died at work ({_first_line(error)})")
        else:
            outcome = replace(unpack_outcome(message, seat.job), worker=seat.name)
            self._done.append(outcome)
            seat.job = seat.result = None
            if outcome.fault == "machine":  # a process that lost its GPU cannot run other jobs
                self._replace(seat)

    def _end_overdue(self) -> None:
        limit = self._profile.job_timeout_s
        for seat in self._seats:
            if seat.job is not None and time.monotonic() - seat.since > limit:
                self._give_up(seat, State.TIMED_OUT, f"took longer than job_timeout_s = {limit:g}")

    def _give_up(self, seat: _Seat, state: State, error: str) -> None:
        """Report the job as lost or failed, and replace the worker."""
        from spikenas.evaluator import Outcome  # noqa: PLC0415  (imports torch)

        assert seat.job is not None
        self._done.append(
            Outcome(
                job_id=seat.job.id,
                state=state,
                error=f"worker {seat.name}: {error}",
                worker=seat.name,
                wall_seconds=time.monotonic() - seat.since,
            )
        )
        self._replace(seat)

    def _watch_starts(self) -> None:
        """Warn once per shortage that workers do not start; raise if none can be started."""
        self._session.check_head()
        now = time.monotonic()
        late = [seat for seat in self._seats if seat.warm and now - seat.since > _STARVED_S]
        if not late:
            self._is_warned = False
            return
        shortage = (
            f"{len(late)} of {len(self._seats)} workers have not started; "
            f"one needs {amounts(self._profile.needs)}; "
            f"free on the living nodes: {free_resources()}"
        )
        if not self._is_warned:
            self._is_warned = True
            _log.warning("%s. Waiting for a node to join or for others to finish", shortage)
        if len(late) == len(self._seats) and all(
            now - seat.since > self._profile.startup_timeout_s for seat in late
        ):
            raise ClusterError(
                f"{shortage}. None started within startup_timeout_s = "
                f"{self._profile.startup_timeout_s:g} of the worker profile"
            )


def _folders() -> list[str]:
    """Return the folders with modules of the user: those of ``sys.path``, and the working one."""
    installed = (sys.prefix, sys.base_prefix)
    return [folder for folder in (*sys.path, str(Path.cwd())) if not folder.startswith(installed)]


def _first_line(error: RayError) -> str:
    return str(error).partition("\n")[0]


def _kill(actor: Any) -> None:
    if not ray.is_initialized():  # it is gone already, and the call would start another
        return
    with suppress(RayError):
        ray.kill(actor, no_restart=True)
