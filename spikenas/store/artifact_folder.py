"""Where the weights of a store lie, and that they are this store's and no other's.

A store has a UUID, and the folder of its weights a marker with it. A folder whose marker is
another's is never read, written or cleared. So a store that is moved or copied with its folder
works, one that is renamed finds the folder by what it recorded, and a new store under an old name
takes a folder of its own.

A copy of a database has the UUID of its original, so the marker also names the database that
writes there and the folder itself. A folder that was copied is told by its own path.
"""

import hashlib
import json
import os
import shlex
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import select, text, update

from spikenas.exceptions import StoreError, UsageError
from spikenas.store.connection import Database
from spikenas.store.schema import artifacts, store

MARKER = ".spikenas-store.json"
_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_SHOWN = 8  # digits of the UUID in a folder's name


def find_folder(database: Database, given: Path | None) -> Path:
    """Return the folder of the store: the first of its places that is its own, else a free one.

    Raises StoreError where ``given`` belongs to another store.
    """
    uuid, recorded = _identity(database)
    default = _default(database)
    own = default.with_name(f"{default.name}-{uuid[:_SHOWN]}")
    places = [recorded, default, own] if recorded else [default, own]
    if given is not None:
        given = given.absolute()
        if _marker(given).get("store") not in (None, uuid):
            raise StoreError(
                f"{given} holds the weights of another store than {database.url}; name the folder "
                "of this one with --artifacts"
            )
        return given
    for place in places:
        if _marker(place).get("store") == uuid:
            return place
    for place in (*places, *_former(database)):  # of a store before there were markers
        if _marker(place).get("store") is None and _holds_own(database, place):
            return place
    return default if _is_free(default) else own


def claim(database: Database, folder: Path) -> None:
    """Make the folder and mark it as this store's; called by who begins to write.

    Raises StoreError where it cannot be written, is that of a store which this one is a copy of, or
    is a second one.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"the artefact folder {str(folder)!r} is not UTF-8; name another with --artifacts"
        ) from None
    uuid, recorded = _identity(database)
    _refuse_copy(database, folder, uuid)
    try:
        _refuse_second(database, find_folder(database, None), folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = str(folder.resolve())
        wanted = {"store": uuid, "database": _whereabouts(database), "folder": place}
        if _marker(folder) != wanted:
            draft = folder / f"{MARKER}.{os.getpid()}"
            draft.write_text(json.dumps(wanted), encoding="utf-8")
            draft.replace(folder / MARKER)
    except OSError as error:
        raise StoreError(
            f"weights cannot be kept in {folder}: {error.strerror}; make it a folder that can be "
            "written, or name another one with --artifacts"
        ) from error
    if recorded != folder:
        with database.writing() as connection:
            connection.execute(update(store).values(artifact_folder=_relative(database, folder)))


def _marker(folder: Path) -> dict[str, str]:
    """Return the marker: ``store``, its UUID, ``database`` and ``folder``; empty without one."""
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _identity(database: Database) -> tuple[str, Path | None]:
    with database.reading() as connection:
        row = connection.execute(select(store)).one()
    if row.artifact_folder is None:
        return str(row.uuid), None
    base = Path.cwd() if database.path is None else database.path.parent
    return str(row.uuid), base / row.artifact_folder


def _relative(database: Database, folder: Path) -> str:
    """Return the folder as it is recorded: from the database's own, so that both can move."""
    if database.path is not None and folder.is_relative_to(database.path.parent):
        return folder.relative_to(database.path.parent).as_posix()
    return folder.as_posix()


def _default(database: Database) -> Path:
    path = database.path
    if path is None:
        return Path("spikenas-artifacts", database.name).absolute()
    stem = path.stem if path.suffix in _SUFFIXES else path.name
    return path.with_name(f"{stem}-artifacts")


def _former(database: Database) -> tuple[Path, ...]:
    """Return where 0.1.0 kept weights: it cut the name at its last dot and knew no port."""
    path = database.path
    if path is None:
        return (Path("spikenas-artifacts", database.name_without_port).absolute(),)
    return (path.with_name(f"{path.stem}-artifacts"),)


def _whereabouts(database: Database) -> str:
    """Return which database this is: its file, or in PostgreSQL its server and its OID there.

    Those stay what they are under another name of the host or of the database.
    """
    if database.path is not None:
        return str(database.path)
    query = (
        "SELECT system_identifier || '/' || oid FROM pg_control_system(), pg_database "
        "WHERE datname = current_database()"
    )
    with database.reading() as connection:
        return str(connection.execute(text(query)).scalar_one())


def _holds_own(database: Database, folder: Path) -> bool:
    """Whether a file lies there that this store recorded, with the bytes that it recorded."""
    if not folder.is_dir():
        return False
    with database.reading() as connection:
        kept = connection.execute(select(artifacts.c.path, artifacts.c.sha256)).all()
    for path, digest in kept:
        with suppress(OSError):
            if hashlib.sha256((folder / path).read_bytes()).hexdigest() == digest:
                return True
    return False


def _is_free(folder: Path) -> bool:
    """Whether nobody's weights lie there."""
    if _marker(folder).get("store") is not None:
        return False
    return not folder.is_dir() or not any(folder.glob("*/*.safetensors"))


def _refuse_copy(database: Database, folder: Path, uuid: str) -> None:
    """Raise where the database was copied without its folder and the original is still there."""
    marker = _marker(folder)
    if marker.get("store") != uuid or marker.get("folder") != str(folder.resolve()):
        return  # a new folder, or one that was copied or moved
    original = marker.get("database", "")
    if original == _whereabouts(database):
        return
    if database.path is not None and not _is_original(Path(original), database.path, uuid):
        return
    own = _default(database)
    if own == folder:  # runs.db was copied to runs.sqlite
        own = own.with_name(f"{own.name}-copy")
    other = original if database.path else "another database"
    raise StoreError(
        f"{database.url} is a copy of {other}, and both would write to {folder}; give it a folder "
        f"of its own: {shlex.join(['cp', '-r', str(folder), str(own)])}, and name that with "
        f"{shlex.join(['--artifacts', str(own)])}"
    )


def _refuse_second(database: Database, first: Path, folder: Path) -> None:
    """Raise where weights that lie in the folder that the store knows are not in the other one."""
    with database.reading() as connection:
        kept = connection.execute(select(artifacts.c.path)).scalars().all()
    if any((first / path).exists() and not (folder / path).exists() for path in kept):
        cure = shlex.join(["cp", "-r", f"{first}/.", str(folder)])
        raise StoreError(
            f"{database.url} keeps its weights in {first}, and in one folder only; leave out "
            f"--artifacts (SPIKENAS_ARTIFACTS), or copy them to {folder} first: {cure}"
        )


def _is_original(original: Path, path: Path, uuid: str) -> bool:
    """Whether another file than ``path`` is a database of the same UUID."""
    try:
        if not original.is_file() or original.samefile(path):
            return False
        with closing(sqlite3.connect(f"{original.as_uri()}?mode=ro", uri=True)) as connection:
            return bool(connection.execute("SELECT uuid FROM store").fetchone() == (uuid,))
    except (OSError, ValueError, sqlite3.Error):
        return False
