"""The folder with the weights of a store, and the check that it belongs to this store.

Each store has a UUID, and its folder contains a marker file with that UUID. A folder with the
marker of another store is never read, written or cleared. So a store that is moved or copied
together with its folder works, a renamed store finds the folder that it recorded, and a new store
under an old name gets a new folder.

A copy of a database has the same UUID as the original, so the marker also names the database that
writes to the folder, and the folder itself. If the path in the marker is not the path of the
folder, the folder was copied or moved.
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
_UUID_DIGITS = 8  # of the UUID in a folder's name


def find_folder(database: Database, given: Path | None) -> Path:
    """Return the folder of the store: the first known one that it owns, else an unused one.

    Raises StoreError if ``given`` belongs to another store.
    """
    uuid, recorded = _identity(database)
    default = _default(database)
    own = default.with_name(f"{default.name}-{uuid[:_UUID_DIGITS]}")
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
    for place in (*places, *_former(database)):  # 0.1.0 wrote no markers
        if _marker(place).get("store") is None and _holds_own(database, place):
            return place
    return default if _is_free(default) else own


def claim(database: Database, folder: Path) -> None:
    """Create the folder and mark it as this store's, before the first write.

    Raises StoreError if the folder cannot be written, if it belongs to the original of which this
    store is a copy, or if the store already has weights in another folder.
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
    """Return ``store`` (the UUID), ``database`` and ``folder`` of the marker, or nothing."""
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
    """Return the path to record: relative to the database's folder, so that both can be moved."""
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
    """Return the folder of 0.1.0: the name up to its last dot, without the port."""
    path = database.path
    if path is None:
        return (Path("spikenas-artifacts", database.name_without_port).absolute(),)
    return (path.with_name(f"{path.stem}-artifacts"),)


def _whereabouts(database: Database) -> str:
    """Return the file of the database, or the id of the PostgreSQL server and its OID there.

    Renaming the host or the database changes neither of the two.
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
    """Whether the folder has a file that this store recorded, with the same SHA-256."""
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
    """Whether the folder contains no weights of any store."""
    if _marker(folder).get("store") is not None:
        return False
    return not folder.is_dir() or not any(folder.glob("*/*.safetensors"))


def _refuse_copy(database: Database, folder: Path, uuid: str) -> None:
    """Raise if the database was copied without its folder and the original still exists."""
    marker = _marker(folder)
    if marker.get("store") != uuid or marker.get("folder") != str(folder.resolve()):
        return  # the folder is new, or was copied or moved
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
    """Raise if the folder that the store knows has weights that the other one lacks."""
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
