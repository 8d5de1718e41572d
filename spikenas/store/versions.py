"""Migrate a database to the current schema, or explain why it cannot be used.

No table is ever created in a database with tables of another program. When two processes open a
new database at once, a lock on its folder (SQLite) or an advisory lock (PostgreSQL) makes one of
them wait, and all tables are created in one transaction.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, String, column, inspect, select, table, text

from spikenas.exceptions import StoreError
from spikenas.store.connection import Database
from spikenas.store.migrations import HEAD, KNOWN, VERSION_TABLE

_ADVISORY_LOCK = 0x5350494B  # any number, as long as it is ours
_OLDEST_POSTGRESQL = (13,)


def prepare(database: Database, *, create: bool) -> None:
    """Create or migrate the tables; StoreError if that is impossible.

    Without ``create``, a missing file or an empty database is an error.
    """
    if database.path is not None:
        _require_file(database.path, database.url, create)
    with _alone(database):
        if database.path is not None and not database.is_read_only:
            _prefer_wal(database)
        revision = _known_revision(database)
        if revision == HEAD:
            return
        if revision is None and not create:
            raise StoreError(
                f"{database.url} holds no runs yet; start one with `spikenas search`, "
                "or name the store of an earlier one"
            )
        if revision is not None and database.path is not None:
            _back_up(database.path, revision)
        with database.writing() as connection:
            if database.path is None:
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _ADVISORY_LOCK})
            if _revision(connection, database.url) != HEAD:  # no other process did it meanwhile
                _migrate(connection)


def read_revision(database: Database) -> str | None:
    """Return the revision of the schema, None for an empty database; changes nothing."""
    if database.path is not None:
        _require_file(database.path, database.url, create=False)
    with _alone(database):
        return _known_revision(database)


def _known_revision(database: Database) -> str | None:
    with database.reading() as connection:
        revision = _revision(connection, database.url)
    if revision not in (None, *KNOWN):
        raise StoreError(_other_version(database.url, str(revision)))
    return revision


def _require_file(path: Path, url: str, create: bool) -> None:
    if not path.parent.is_dir():
        raise StoreError(f"{url}: there is no folder {path.parent}; make it, or correct the path")
    if path.is_dir():
        raise StoreError(f"{url} is a folder; needed: the path of a file, {path}/spikenas.db")
    if path.exists():
        return
    if not create:
        raise StoreError(
            f"{url} does not exist; start a run with `spikenas search`, or name the store of an "
            "earlier one with --store or SPIKENAS_STORE"
        )
    try:
        # SQLite would use the umask; runs are private. Its -wal and -shm files copy this mode.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreError(
            f"{url} cannot be created: {error.strerror}; name a writable place with --store"
        ) from error


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Hold the lock on the folder; PostgreSQL is locked only to create tables."""
    if database.path is None:
        yield
        return
    folder = os.open(database.path.parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
        except OSError as error:
            raise StoreError(
                f"{database.url}: its folder cannot be locked ({error.strerror}), so it is no "
                "local disk; keep the store on one, or in PostgreSQL"
            ) from error
        yield
    finally:
        os.close(folder)


def _prefer_wal(database: Database) -> None:
    with database.explained(), database.engine.connect() as connection:
        driver = connection.connection.cursor()  # WAL can only be set outside a transaction
        tables = driver.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables == (0,):  # otherwise ours and in WAL mode already, or of another program
            driver.execute("PRAGMA journal_mode = WAL")
        driver.close()


def _back_up(path: Path, revision: str) -> None:
    """Copy an older database into the same folder before its tables are changed."""
    copy = path.with_name(f"{path.name}.of-revision-{revision}")
    try:
        os.close(os.open(copy, os.O_CREAT | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"{path} has tables of an older spikenas (revision {revision}, needed {HEAD}), and "
            f"cannot be copied to {copy.name} before they are changed: {error}; make the file and "
            "its folder writable, or copy both elsewhere"
        ) from error


def _revision(connection: Connection, url: str) -> str | None:
    """Return the revision of the schema, None for an empty database; else raise StoreError."""
    version = connection.dialect.server_version_info or ()
    if connection.dialect.name == "postgresql" and version < _OLDEST_POSTGRESQL:
        raise StoreError(f"{url} is PostgreSQL {'.'.join(map(str, version))}; needed: 13 or newer")
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if VERSION_TABLE not in tables:
        raise StoreError(
            f"{url} belongs to another program: it holds {', '.join(sorted(tables)[:5])} and no "
            f"{VERSION_TABLE}; nothing was changed. Give --store a database of its own"
        )
    query = select(column("version_num", String)).select_from(table(VERSION_TABLE))
    return str(connection.execute(query).scalar() or "")


def _other_version(url: str, revision: str) -> str:
    if revision.isascii() and revision.isdigit() and revision > HEAD:
        return (
            f"{url} has tables of a newer spikenas (revision {revision}, this one knows "
            f"{', '.join(KNOWN)}); upgrade spikenas, or name another store"
        )
    return (
        f"{url} has tables of an unknown revision {revision!r}; this spikenas knows "
        f"{', '.join(KNOWN)}: restore a copy, or name another store"
    )


def _migrate(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415  (a quarter second, rarely needed)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "spikenas.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
