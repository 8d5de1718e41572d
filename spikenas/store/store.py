"""`Store`: opens a database, begins and resumes runs, and reads all of them."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import false, insert, select
from sqlalchemy.exc import IntegrityError

from spikenas.evaluation import Evaluation, State
from spikenas.exceptions import NotFoundError, StoreError, UsageError, did_you_mean
from spikenas.figures import objective
from spikenas.store.artifact_folder import claim, find_folder
from spikenas.store.candidate import Candidate, select_candidates, to_candidate
from spikenas.store.clock import DatabaseTime
from spikenas.store.connection import Database
from spikenas.store.evaluation_rows import read_evaluation
from spikenas.store.lease import Holder, take_over
from spikenas.store.migrations import HEAD
from spikenas.store.run import STATUS, Run, RunSummary, read_counts
from spikenas.store.schema import evaluations, runs
from spikenas.store.versions import prepare, read_revision
from spikenas.store.writer import RunWriter, begin_generation, requeue_running

DEFAULT_URL = "sqlite:///spikenas.db"
MAX_NAME_BYTES = 200  # the weights of a run are in a folder with its name


class Store:
    """A database of runs, from `Store.open`; safe to share between threads.

    Attributes:
        artifact_folder: the folder with the weights, see `spikenas.store.artifact_folder`. By
            default ``X-artifacts`` beside ``X.db``; for PostgreSQL a folder named after host, port
            and database under ``spikenas-artifacts`` in the working directory.
    """

    def __init__(self, database: Database, artifacts: Path | None = None) -> None:
        self._database = database
        self._writers: list[RunWriter] = []
        self.artifact_folder = find_folder(database, artifacts)

    @classmethod
    def open(
        cls, url: str | None = None, *, create: bool = True, artifacts: str | Path | None = None
    ) -> Self:
        """Open a database, and migrate the tables of an older spikenas.

        An SQLite file is copied before it is migrated. Raises StoreError if the database cannot be
        used, with what to do.

        Args:
            url: ``sqlite:///FILE.db`` or ``postgresql://user:password@host/database``; by default
                ``SPIKENAS_STORE``, else ``spikenas.db`` in the working directory.
            create: create the file and the tables if they do not exist.
            artifacts: the folder of its weights; by default ``SPIKENAS_ARTIFACTS``, else the one
                that the store recorded.
        """
        database = _database(url)
        try:
            if create:
                database.require_writable()
            prepare(database, create=create)
            named = artifacts or os.environ.get("SPIKENAS_ARTIFACTS")
            return cls(database, Path(named) if named else None)
        except BaseException:
            database.close()
            raise

    @classmethod
    def look(cls, url: str | None = None) -> str:
        """Describe a store without changing it; StoreError if it cannot be used."""
        database = _database(url)
        path = database.path
        if path is None or path.exists():
            try:
                revision = read_revision(database)
                if revision != HEAD:
                    database.require_writable()
            finally:
                database.close()
            if revision is None:
                return f"{database.url}, which is empty: the first search will make its tables"
            if revision != HEAD:
                return (
                    f"{database.url}, with tables of an older spikenas (revision {revision}): the "
                    f"first command that opens it will migrate them to {HEAD}"
                )
            with cls.open(url, create=False) as store:
                standing = ", can be read, but not written" if database.is_read_only else ""
                return f"{store.url}, {len(store.runs())} runs{standing}"
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                return f"{database.url}, which the first search will make"
        except OSError as error:
            raise StoreError(
                f"{database.url} cannot be made: {error.strerror}; give --store the path of a file "
                "in a folder that is there and can be written"
            ) from None

    @property
    def url(self) -> str:
        """The URL with ``***`` for the password."""
        return self._database.url

    def runs(self) -> list[RunSummary]:
        """Return every run, newest first."""
        query = select(runs, STATUS.label("standing")).order_by(runs.c.id.desc())
        with self._database.reading() as connection:
            found = connection.execute(query).all()
        counts = read_counts(self._database, *(row.id for row in found))
        return [
            RunSummary(
                name=row.name,
                status=row.standing,
                created_at=row.created_at,
                seed=row.seed,
                objectives=tuple(row.objectives),
                counts=counts[row.id],
            )
            for row in found
        ]

    def run(self, name: str | None = None) -> Run:
        """Return a run by name, or the newest; NotFoundError suggests the closest name."""
        return Run(self._database, self._row_of(name), self.artifact_folder)

    def begin_run(
        self,
        name: str | None = None,
        *,
        settings: Mapping[str, Any],
        space_toml: str,
        seed: int,
        objectives: Sequence[str],
    ) -> RunWriter:
        """Begin a run that this process drives.

        The default name is the data set and the minute, ``digits-20261124-0912``. Raises
        UsageError if the name is taken, see `require_free_name`.
        """
        self._database.require_writable()
        claim(self._database, self.artifact_folder)
        if not 0 <= seed < 2**63:
            raise UsageError(f"seed = {seed}; needed: an integer from 0 to 2**63 - 1")
        for objective_name in objectives:
            objective(objective_name)
        columns = {
            "settings": dict(settings),
            "space_toml": space_toml,
            "seed": seed,
            "objectives": list(objectives),
        }
        if name is not None:
            self.require_free_name(name)
            row = self._insert_run(name, columns)
            if row is None:  # another process took the name meanwhile
                raise UsageError(self._name_is_taken(name))
            return self._drive(row, fence=1)
        stem = f"{_topic(settings)}-{datetime.now(UTC):%Y%m%d-%H%M}"
        tries = (stem if n == 1 else f"{stem}-{n}" for n in range(1, 1000))
        row = next(row for row in (self._insert_run(t, columns) for t in tries) if row is not None)
        return self._drive(row, fence=1)

    def require_free_name(self, name: str) -> None:
        """Raise UsageError, with what to do instead, if no run can begin under this name."""
        _require_good_name(name)
        with self._database.reading() as connection:
            is_taken = connection.execute(select(runs.c.id).where(runs.c.name == name)).first()
        if is_taken:
            raise UsageError(self._name_is_taken(name))

    def resume_run(self, name: str | None = None, *, new_generation: bool = False) -> RunWriter:
        """Become the driver of a run, by default of the newest.

        Candidates that its last driver had in flight are queued again. ``new_generation`` keeps
        the candidates so far, but never compares them with later ones, and deletes the queued
        ones, which will be proposed anew. Raises LeaseError while another driver is alive; a
        driver that died is replaced at once if it ran on this host, else when its lease expires.
        """
        row = self._row_of(name)
        self._database.require_writable()
        claim(self._database, self.artifact_folder)
        with self._database.writing() as connection:
            fence = take_over(connection, row)
            requeue_running(connection, row)
            if new_generation:
                begin_generation(connection, row)
        return self._drive(row, fence)

    def find_results(self, reuse_key: str) -> list[Candidate]:
        """Return the complete candidates of all runs with this reuse key, oldest first."""
        query = (
            select_candidates()
            .where(
                evaluations.c.reuse_key == reuse_key,
                evaluations.c.state == State.COMPLETE.value,
                evaluations.c.duplicate_of.is_(None),
            )
            .order_by(evaluations.c.id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [to_candidate(row, self.artifact_folder) for row in rows]

    def evaluation(self, candidate: Candidate) -> Evaluation:
        """Return the evaluation of a candidate of any run, with its measured Workload."""
        with self._database.reading() as connection:
            return read_evaluation(connection, candidate.row)

    def close(self) -> None:
        """Close the connections and the writers of this store."""
        for writer in self._writers:
            writer.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def _row_of(self, name: str | None) -> int:
        query = select(runs.c.id, runs.c.name).order_by(runs.c.id.desc())
        with self._database.reading() as connection:
            if name is None:
                newest = connection.execute(query.limit(1)).one_or_none()
                if newest is None:
                    raise NotFoundError(
                        f"{self.url} holds no run yet; `spikenas search` begins one"
                    )
                return int(newest.id)
            is_known = runs.c.name == name if name.isprintable() else false()  # names are printable
            found = connection.execute(query.where(is_known)).one_or_none()
            if found is None:
                names = [row.name for row in connection.execute(query)]
                shown = ", ".join(names[:10]) or "none"
                raise NotFoundError(
                    f"no run is named {name!r} in {self.url}{did_you_mean(name, names)}; "
                    f"runs: {shown}{', ...' if len(names) > 10 else ''}"
                )
            return int(found.id)

    def _name_is_taken(self, name: str) -> str:
        run = self.run(name)
        if run.status == "finished":
            cure = "it is finished; give another --name"
        else:
            cure = f"continue it with `{run.command('resume')}`, or give another --name"
        return f"a run named {name!r} is in {self.url} already; {cure}"

    def _insert_run(self, name: str, columns: Mapping[str, Any]) -> int | None:
        """Insert a run held by this process; None if the name is taken."""
        run = {
            **columns,
            **Holder.here().columns(),
            "name": name,
            "status": "running",
            "created_at": DatabaseTime(),
            "fence": 1,
        }
        try:
            with self._database.writing() as connection:
                return int(
                    connection.execute(insert(runs).values(run).returning(runs.c.id)).scalar_one()
                )
        except IntegrityError:
            return None

    def _drive(self, row: int, fence: int) -> RunWriter:
        writer = RunWriter(
            self._database, row, fence, Run(self._database, row, self.artifact_folder)
        )
        self._writers.append(writer)
        return writer


def _database(url: str | None) -> Database:
    default = os.environ.get("SPIKENAS_STORE") or DEFAULT_URL
    return Database(url or default, is_default=not url)


def _require_good_name(name: str) -> None:
    """Raise UsageError for a name that cannot be a folder, an option's value or ``RUN/ID``."""
    faults = (
        ("it is empty", not name),
        ("/ and \\ part a run from its candidates", "/" in name or "\\" in name),
        ("it would be read as an option", name.startswith("-")),
        ("it is a relative folder", name in (".", "..")),
        ("it begins or ends with a space", name != name.strip()),
        ("it has characters that cannot be printed", not name.isprintable()),
    )
    for reason, applies in faults:
        if applies:
            raise UsageError(f"run name {name!r} is impossible: {reason}; use letters and digits")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise UsageError(f"run name of {len(name.encode())} bytes; at most {MAX_NAME_BYTES}")


def _topic(settings: Mapping[str, Any]) -> str:
    """Return the first part of a default name: the data set."""
    data = settings.get("data")
    topic = data.get("name") if isinstance(data, Mapping) else data
    return str(topic) if isinstance(topic, str) and topic.isidentifier() else "run"
