"""`Database`: access to SQLite or PostgreSQL in short transactions.

SQLite runs in WAL mode, so that readers never wait for the driver. Writers begin with BEGIN
IMMEDIATE, because upgrading a read transaction to a write fails at once, whatever the timeout.
Every database error is raised as a StoreError without the password.
"""

import atexit
import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from spikenas.exceptions import StoreError, UsageError, shown

BUSY_TIMEOUT_S = 30
_POSTGRESQL_PORT = 5432
_FORMS = "sqlite:///runs.db or postgresql://user:password@host/database"


class Database:
    """An engine with read and write transactions, whose messages never contain the password.

    Attributes:
        option: the option that names it in a command; empty for the default store and for a URL
            with a password.
    """

    def __init__(self, url: str, *, is_default: bool = False) -> None:
        self._url = parse_url(url)
        has_secret = bool(self._url.password)
        self.option = () if is_default or has_secret else ("--store", url)
        self.is_read_only = self.path is not None and _is_read_only(self.path)
        if self.path is None:
            self.engine = _postgresql(self._url)
        else:
            self.engine = _sqlite_read_only(self.path) if self.is_read_only else _sqlite(self._url)

    @property
    def url(self) -> str:
        """The URL with ``***`` for the password."""
        return self._url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database, else None."""
        is_sqlite = self._url.get_backend_name() == "sqlite"
        return Path(self._url.database or "") if is_sqlite else None

    @property
    def name(self) -> str:
        """The host, port and database of PostgreSQL, usable as the name of a folder."""
        port = "" if self._url.port in (None, _POSTGRESQL_PORT) else f"-{self._url.port}"
        return _as_file_name(f"{self._url.host or 'local'}{port}-{self._url.database}")

    @property
    def name_without_port(self) -> str:
        """The name that 0.1.0 used."""
        return _as_file_name(f"{self._url.host or 'local'}-{self._url.database}")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Begin a read transaction."""
        with self.explained(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Begin a write transaction; any exception rolls it back."""
        with self.explained(), self.engine.connect() as connection:
            connection.execution_options(spikenas_writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Convert database errors to StoreError, except for IntegrityError."""
        try:
            yield
        except IntegrityError:
            raise
        except UnicodeEncodeError as error:  # a name from the command line
            raise UsageError(f"{error.object!r} is not UTF-8, which a store needs") from None
        except (DBAPIError, PoolTimeoutError, sqlite3.Error) as error:
            raise StoreError(self._explain(error)) from None

    def require_writable(self) -> None:
        """Raise StoreError for a read-only store: writes to a copy of it would be lost."""
        if self.is_read_only:
            raise StoreError(
                f"{self.url} can be read, but not written; make the file and its folder writable, "
                "or give --store another path"
            )

    def close(self) -> None:
        """Close idle connections."""
        self.engine.dispose()

    def redact(self, text: str) -> str:
        """Return the text with the password replaced, in every way of quoting it."""
        password = str(self._url.password or "")
        for form in {password, quote(password, safe=""), quote_plus(password)} - {""}:
            text = text.replace(form, "***")
        return text

    def __repr__(self) -> str:
        return f"Database({self.url!r})"

    def _explain(self, error: Exception) -> str:
        original = self.redact(str(getattr(error, "orig", None) or error)).strip()
        cure = next(
            (cure for symptom, cure in _CURES if symptom in original),
            "see that the server runs, and that host, port, user, password and database are right"
            if self.path is None
            else "see that the disk is not full and the file is on a local disk",
        )
        return f"{self.url}: {' '.join(original.split())}; {cure}"


_CURES = (
    ("not a database", "it was not made by spikenas; give --store the path of another file"),
    ("malformed", "the file is damaged; restore a copy, or give --store another path"),
    ("readonly database", "make the file and its folder writable, or give --store another path"),
    ("unable to open", "make the file and its folder readable, or give --store another path"),
    ("database is locked", f"another process held it for {BUSY_TIMEOUT_S} s; try again"),
    ("does not exist", "create it with createdb, or correct the URL"),
    ("authentication failed", "correct user and password; percent-encode @ : / in the password"),
    ("no such table", "the file lacks tables of spikenas; give --store another path"),
)


def _as_file_name(text: str) -> str:
    return re.sub(r"[^\w.-]", "_", text)


def parse_url(text: str) -> URL:
    """Return the URL with the driver that we use; a password may contain an unquoted ``@``."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            "the database URL has bytes that are not UTF-8; rename the file, or give another one"
        ) from None
    head, at, location = text.rpartition("@")
    if re.search(r"\?\w+=", head):  # the last @ is inside an option
        head, at, location = text.partition("?")[0].rpartition("@")
        location += "".join(text.partition("?")[1:])
    scheme, colon, secret = head.partition("://")[2].partition(":")
    if at and colon and "@" in secret:
        start = f"{head.partition('://')[0]}://{scheme}:{quote(secret, safe='%')}"
        text = f"{start}@{location}"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        named = "the database URL" if "@" in text else f"database URL {text!r}"
        is_path = "://" not in text and text.endswith((".db", ".sqlite", ".sqlite3"))
        meant = f"; did you mean sqlite:///{text}?" if is_path else ""
        raise UsageError(f"{named} cannot be read; needed: {_FORMS}{meant}") from None
    backend = url.drivername.partition("+")[0]
    if backend in ("postgresql", "postgres"):
        password = url.query.get("password", url.password)  # libpq also accepts it in the query
        url = url.difference_update_query(["password"])
        return url.set(
            drivername="postgresql+psycopg", password=str(password) if password else None
        )
    if backend != "sqlite":
        raise UsageError(
            f"database URL begins with {url.drivername!r}; spikenas keeps runs in SQLite or "
            f"PostgreSQL: {_FORMS}"
        )
    if "?" in text:
        raise UsageError(
            f"database URL {text!r} has a '?', which begins options, and SQLite takes none here; "
            "leave them out, or write %3F for a ? in the name of the file"
        )
    if url.database in (None, "", ":memory:") or url.query or url.host or url.username:
        raise UsageError(f"database URL {text!r} names no plain file; needed: sqlite:///FILE.db")
    path = str(Path(str(url.database)).absolute())
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"the store would be {shown(path)}, in a folder whose name is not UTF-8; name a file "
            "elsewhere with --store sqlite:////PATH/runs.db"
        ) from None
    return url.set(drivername="sqlite", database=path)


def _sqlite(url: URL) -> Engine:
    if sqlite3.sqlite_version_info < (3, 28):
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old for this store; needed: 3.28, "
            "or PostgreSQL by URL"
        )
    # `_begin` sends BEGIN; by default the driver sends it, late and deferred.
    engine = create_engine(
        url,
        connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_S},
        json_serializer=_to_json,
    )
    event.listen(engine, "connect", _obey_foreign_keys)
    event.listen(engine, "begin", _begin)
    return engine


def _is_read_only(path: Path) -> bool:
    return path.is_file() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _sqlite_read_only(path: Path) -> Engine:
    """Read a database that cannot be written, without creating files beside it.

    If both the write-ahead log and its index exist, another process is writing, and SQLite reads
    them as usual. Otherwise SQLite would create them, so the file is opened as immutable; if a log
    was left behind, a copy of the file and the log is opened instead.
    """
    uri = f"{path.as_uri()}?mode=ro"
    log, index = (path.with_name(f"{path.name}-{part}") for part in ("wal", "shm"))
    if not (log.is_file() and index.is_file() and _is_readable(uri)):
        if log.is_file() and log.stat().st_size:
            folder = Path(tempfile.mkdtemp(prefix="spikenas-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            for file in (path, log):
                shutil.copyfile(file, folder / file.name)
            return _sqlite(URL.create("sqlite", database=str(folder / path.name)))
        uri += "&immutable=1"
    engine = create_engine("sqlite://", creator=partial(_connect, uri), poolclass=QueuePool)
    event.listen(engine, "begin", _begin)
    return engine


def _is_readable(uri: str) -> bool:
    try:
        with closing(_connect(uri)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error:
        return False
    return True


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )


def _obey_foreign_keys(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("spikenas_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(url: URL) -> Engine:
    wanted: dict[str, Any] = {
        "connect_timeout": 10,
        "application_name": "spikenas",
        "tcp_user_timeout": 30_000,  # ms; a lost connection must raise, not hang
    }
    try:
        return create_engine(
            url,
            pool_pre_ping=True,
            connect_args={name: wanted[name] for name in wanted if name not in url.query},
            json_serializer=_to_json,
        )
    except ImportError as error:
        raise UsageError(
            f"a store on PostgreSQL needs psycopg, which cannot be imported ({error}); "
            "get it with: pip install 'spikenas[postgresql]'"
        ) from error


_to_json = partial(json.dumps, allow_nan=False, separators=(",", ":"))
