"""`RunWriter`: how the driver writes its run. Every method is one short transaction."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from spikenas.architecture import Architecture
from spikenas.evaluation import Evaluation, State
from spikenas.figures import FIGURES
from spikenas.store.clock import DatabaseTime
from spikenas.store.connection import Database
from spikenas.store.evaluation_rows import evaluation_columns, insert_workload
from spikenas.store.lease import Lease
from spikenas.store.run import Run
from spikenas.store.schema import architectures, artifacts, attempts, evaluations, runs


class KeptFile(NamedTuple):
    """A file in the artefact folder; ``sha256`` is of the bytes in memory, not of the file."""

    kind: str
    path: Path
    sha256: str
    size: int


class RunWriter:
    """Writes one run while this process holds its lease.

    Once another driver has taken over the run, or `finish` was called, every method raises
    LeaseError and changes nothing. ``candidate`` is always the row that `add` returned.
    """

    def __init__(self, database: Database, row: int, fence: int, run: Run) -> None:
        self.run = run
        self._row = row
        self._lease = Lease(database, row, fence)

    def add(
        self,
        number: int,
        architecture: Architecture,
        choices: Mapping[str, Any],
        *,
        state: State,
        margins: Mapping[str, float],
        reuse_key: str,
        reason: str | None = None,
        duplicate_of: int | None = None,
    ) -> int:
        """Insert proposal ``number`` of the run and return its row.

        Args:
            number: unique within the run.
            architecture: what was proposed.
            choices: of the sampler, to which they are told again on resume.
            state: QUEUED to be trained, REFUSED with a ``reason``, or that of the original.
            margins: need / limit - 1 for each rule of the chip and each limit.
            reuse_key: candidates with equal keys share a result, see `Store.find_results`.
            reason: why it was refused.
            duplicate_of: the row of this run whose result it shares; it is then never counted.
        """
        with self._lease.writing() as connection:
            return int(
                connection.execute(
                    insert(evaluations)
                    .values(
                        run_id=self._row,
                        number=number,
                        generation=self.run.generation,
                        architecture_id=_architecture(connection, architecture),
                        state=state.value,
                        reuse_key=reuse_key,
                        duplicate_of=duplicate_of,
                        choices=dict(choices),
                        margins={name: float(margin) for name, margin in margins.items()},
                        reason=_storable(reason),
                        created_at=DatabaseTime(),
                        ended_at=DatabaseTime() if state.is_final else None,
                    )
                    .returning(evaluations.c.id)
                ).scalar_one()
            )

    def start(self, candidate: int, worker: str = "") -> int:
        """Record that a worker has started, and return the number of the attempt, from 1."""
        with self._lease.writing() as connection:
            self._move(connection, candidate, {State.QUEUED}, state=State.RUNNING.value)
            return self._begin_attempt(connection, candidate, worker)

    def record(
        self,
        candidate: int,
        *,
        state: State,
        evaluation: Evaluation | None = None,
        error: str | None = None,
        traceback: str | None = None,
        worker: str = "",
        wall_seconds: float = 0.0,
        kept: KeptFile | None = None,
    ) -> None:
        """Record the outcome of a queued or running candidate, its Workload and its weights file.

        Raises ValueError for a state that is not final, for COMPLETE without an evaluation, and
        for a figure that is not finite: such a candidate has diverged.
        """
        if not state.is_final or (state is State.COMPLETE and evaluation is None):
            raise ValueError(
                f"state {state} with evaluation {evaluation!r} is not a final state of a candidate"
            )
        columns = {"wall_seconds": float(wall_seconds)}
        if evaluation is not None:
            columns |= evaluation_columns(evaluation)
        with self._lease.writing() as connection:
            self._move(
                connection,
                candidate,
                {State.QUEUED, State.RUNNING},
                state=state.value,
                error=_storable(error),
                ended_at=DatabaseTime(),
                **columns,
            )
            if evaluation is not None:
                insert_workload(connection, candidate, evaluation.workload)
            if kept is not None:
                self._add_artifact(connection, candidate, kept)
            end = _end_columns(error, traceback, worker)
            if not _end_attempt(connection, candidate, state.value, **end):
                # It ended before a worker had it, or its result was reused: also an attempt.
                self._begin_attempt(connection, candidate, worker)
                _end_attempt(connection, candidate, state.value, **end)

    def requeue(
        self,
        candidate: int,
        *,
        error: str | None = None,
        traceback: str | None = None,
        worker: str = "",
    ) -> None:
        """Queue a running candidate again; its attempt records the error."""
        with self._lease.writing() as connection:
            self._move(connection, candidate, {State.RUNNING}, state=State.QUEUED.value)
            end = _end_columns(error, traceback, worker)
            _end_attempt(connection, candidate, "requeued", **end)

    def record_test_accuracy(self, candidate: int, value: float) -> None:
        """Record the test accuracy of a complete candidate, 0 to 1."""
        if complaint := FIGURES["test_accuracy"].complaint(value):
            raise ValueError(complaint)
        with self._lease.writing() as connection:
            self._move(connection, candidate, {State.COMPLETE}, test_accuracy=float(value))

    def drop_artifact(self, candidate: int, kind: str) -> None:
        """Delete the record of a file; the caller deletes the file."""
        with self._lease.writing() as connection:
            _drop_artifact(connection, candidate, kind)

    def update_settings(self, settings: Mapping[str, Any]) -> None:
        """Replace the settings of the run, for a new generation."""
        with self._lease.writing() as connection:
            connection.execute(
                update(runs).where(runs.c.id == self._row).values(settings=dict(settings))
            )
        self.run.settings_json = dict(settings)

    def finish(self, status: Literal["finished", "interrupted", "failed"]) -> None:
        """Set the final status of the run, and release it."""
        self._lease.release(status)

    def close(self) -> None:
        """Stop renewing the lease and refuse to write, as if the process had ended."""
        self._lease.stop()

    def __repr__(self) -> str:
        return f"<RunWriter of {self.run.name!r}>"

    def _move(
        self, connection: Connection, candidate: int, states: set[State], **columns: object
    ) -> None:
        """Update a candidate of this run that is in one of ``states``; ValueError otherwise."""
        changed = connection.execute(
            update(evaluations)
            .where(
                evaluations.c.id == candidate,
                evaluations.c.run_id == self._row,
                evaluations.c.state.in_([state.value for state in states]),
            )
            .values(**columns)
        )
        if changed.rowcount != 1:
            found = connection.execute(
                select(evaluations.c.state).where(
                    evaluations.c.id == candidate, evaluations.c.run_id == self._row
                )
            ).scalar()
            raise ValueError(
                f"candidate {candidate} of run {self.run.name!r} is {found or 'unknown'}; "
                f"needed: {' or '.join(sorted(states))}"
            )

    def _add_artifact(self, connection: Connection, candidate: int, kept: KeptFile) -> None:
        """Insert a file by its path within the artefact folder, so that the folder can be moved."""
        folder = self.run.artifact_folder
        path = kept.path.absolute()
        below = path.relative_to(folder) if path.is_relative_to(folder) else path
        _drop_artifact(connection, candidate, kept.kind)
        connection.execute(
            insert(artifacts).values(
                evaluation_id=candidate,
                kind=kept.kind,
                path=below.as_posix(),
                sha256=kept.sha256,
                size=kept.size,
                created_at=DatabaseTime(),
            )
        )

    def _begin_attempt(self, connection: Connection, candidate: int, worker: str) -> int:
        last = select(func.max(attempts.c.number)).where(attempts.c.evaluation_id == candidate)
        number = int(connection.execute(last).scalar() or 0) + 1
        connection.execute(
            insert(attempts).values(
                evaluation_id=candidate,
                number=number,
                fence=self._lease.fence,
                worker=_storable(worker),
                started_at=DatabaseTime(),
            )
        )
        return number


def requeue_running(connection: Connection, run: int) -> None:
    """Queue the candidates that the previous driver had in flight, with their numbers."""
    of_run = select(evaluations.c.id).where(evaluations.c.run_id == run)
    connection.execute(
        update(attempts)
        .where(attempts.c.evaluation_id.in_(of_run), attempts.c.ended_at.is_(None))
        .values(ended_at=DatabaseTime(), outcome="interrupted")
    )
    connection.execute(
        update(evaluations)
        .where(evaluations.c.run_id == run, evaluations.c.state == State.RUNNING.value)
        .values(state=State.QUEUED.value)
    )


def begin_generation(connection: Connection, run: int) -> None:
    """Begin a new generation of candidates, and delete those that are still queued."""
    connection.execute(
        update(runs).where(runs.c.id == run).values(generation=runs.c.generation + 1)
    )
    waiting = select(evaluations.c.id).where(
        evaluations.c.run_id == run, evaluations.c.state == State.QUEUED.value
    )
    connection.execute(delete(attempts).where(attempts.c.evaluation_id.in_(waiting)))
    connection.execute(delete(evaluations).where(evaluations.c.id.in_(waiting)))


def _architecture(connection: Connection, architecture: Architecture) -> int:
    """Return the row of the architecture, which is inserted if it is new to the store."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        dialect.insert(architectures)
        .values(
            key=architecture.key,
            genes=architecture.to_dict(),
            num_stages=len(architecture.stages),
            **{name: getattr(architecture, name) for name in _GENES},
        )
        .on_conflict_do_nothing(index_elements=["key"])
    )
    row = select(architectures.c.id).where(architectures.c.key == architecture.key)
    return int(connection.execute(row).scalar_one())


_GENES = ("num_steps", "neuron", "residual", "stem", "patch_size", "head")


def _end_columns(error: str | None, traceback: str | None, worker: str) -> dict[str, str | None]:
    columns = {"error": _storable(error), "traceback": _storable(traceback)}
    return columns | ({"worker": _storable(worker)} if worker else {})


def _end_attempt(connection: Connection, candidate: int, outcome: str, **columns: object) -> bool:
    """End the open attempt of the candidate; False if there is none."""
    ended = connection.execute(
        update(attempts)
        .where(attempts.c.evaluation_id == candidate, attempts.c.ended_at.is_(None))
        .values(ended_at=DatabaseTime(), outcome=outcome, **columns)
    )
    return ended.rowcount > 0


def _drop_artifact(connection: Connection, candidate: int, kind: str) -> None:
    connection.execute(
        delete(artifacts).where(artifacts.c.evaluation_id == candidate, artifacts.c.kind == kind)
    )


def _storable(text: str | None) -> str | None:
    """Escape what PostgreSQL or UTF-8 cannot represent: NUL and surrogates."""
    if text is None:
        return None
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")
