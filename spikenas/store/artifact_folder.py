"""Where the weights of a store lie, and that they are this store's and no other's.

A store has a UUID, and the folder of its weights a marker with it. A folder whose marker is
another's is never read, written or cleared. So a store that is moved or copied with its folder
works, one that is renamed finds the folder by what it recorded, and a new store under an old name
takes a folder of its own.
"""

import hashlib
import json
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

from sqlalchemy import select, update

from spikenas.exceptions import StoreError, UsageError
from spikenas.store.connection import Database
from spikenas.store.schema import artifacts, store

MARKER = ".spikenas-store.json"
_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_SHOWN = 8  # digits of the UUID in a folder's name


def new_uuid() -> str:
    """Return the identity of a new store."""
    return str(uuid4())


def find_folder(database: Database, given: Path | None) -> Path:
    """Return the folder of the store: the first of its places that is its own, else a free one.

    Raises StoreError where ``given`` belongs to another store.
    """
    uuid, recorded = _identity(database)
    default = _default(database)
    own = default.with_name(f"{default.name}-{uuid[:_SHOWN]}")
    places = [default, own] + ([recorded] if recorded else [])
    if given is not None:
        given = given.absolute()
        if marker_of(given) not in (None, uuid):
            raise StoreError(
                f"{given} holds the weights of another store than {database.url}; name the folder "
                "of this one with --artifacts"
            )
        return given
    for place in places:
        if marker_of(place) == uuid:
            return place
    for place in (*places, *_former(database)):  # of a store before there were markers
        if marker_of(place) is None and _holds_own(database, place):
            return place
    return default if _is_free(default) else own


def claim(database: Database, folder: Path) -> None:
    """Make the folder and mark it as this store's; called by who begins to write.

    Raises StoreError where it cannot be written, or is that of a store which this one is a copy of.
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
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = json.dumps({"store": uuid, "database": _name(database)})
        marker, draft = folder / MARKER, folder / f"{MARKER}.{os.getpid()}"
        if not marker.exists() or marker.read_text(encoding="utf-8") != text:
            draft.write_text(text, encoding="utf-8")
            draft.replace(marker)
    except OSError as error:
        raise StoreError(
            f"weights cannot be kept in {folder}: {error.strerror}; make it a folder that can be "
            "written, or name another one with --artifacts"
        ) from error
    if recorded != folder:
        with database.writing() as connection:
            connection.execute(update(store).values(artifact_folder=_relative(database, folder)))


def marker_of(folder: Path) -> str | None:
    """Return the UUID of the store that a folder belongs to, if it says so."""
    try:
        return str(json.loads((folder / MARKER).read_text(encoding="utf-8"))["store"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


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


def _name(database: Database) -> str:
    return database.name if database.path is None else database.path.name


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
    if marker_of(folder) is not None:
        return False
    return not folder.is_dir() or not any(folder.glob("*/*.safetensors"))


def _refuse_copy(database: Database, folder: Path, uuid: str) -> None:
    """Raise where the database was copied without its folder and the original is still there."""
    if database.path is None or folder == _default(database) or marker_of(folder) != uuid:
        return
    try:
        named = json.loads((folder / MARKER).read_text(encoding="utf-8"))["database"]
    except (OSError, ValueError, LookupError):
        return
    original = database.path.with_name(str(named))
    if original == database.path or _uuid_in(original) != uuid:
        return
    own = _default(database)
    raise StoreError(
        f"{database.url} is a copy of {original}, and both would write to {folder}; give it a "
        f"folder of its own first: cp -r {folder} {own}"
    )


def _uuid_in(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT uuid FROM store").fetchone()
    except sqlite3.Error:
        return None
    return str(row[0]) if row else None
