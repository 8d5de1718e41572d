"""``provenance.json``: the origin of an export, and the SHA-256 of each of its files.

``files`` has the SHA-256 of every other file, and ``self_sha256`` that of the record's own
canonical JSON without this key. The file must be byte for byte the rendering of the record, so
every change is detected. This protects against damage, not against forgery.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikenas.exceptions import ArtefactError, UsageError, did_you_mean

PROVENANCE = "provenance.json"
FILES = ("architecture.json", "metrics.json", "model.safetensors")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_PRIVATE = re.compile(
    r"://"  # a database, a cluster, a file
    r"|(?:^|[\s\"'=(,:;\[])(?:/[\w.-]+|~/|[A-Za-z]:[\\/])"  # a path from the root or the home
)


class Provenance(BaseModel):
    """All that an export may contain about its origin, without machines and paths."""

    model_config = ConfigDict(extra="forbid")

    run: str | None = None
    candidate: str | None = None
    seed: int | None = None
    epochs: int | None = None
    data: Mapping[str, Any] | None = None
    data_sha256: str | None = None
    recipe: Mapping[str, Any] | str | None = None
    space: str | None = None
    space_sha256: str | None = None
    chip: str | None = None
    chip_sha256: str | None = None
    energy_model: str | None = None
    energy_model_sha256: str | None = None  # of a user's own file
    objectives: list[str] | None = None
    sampler: str | None = None
    plugins: list[str] | None = None
    code: Mapping[str, str] | None = None  # from `spikenas.code.sources`
    system: str | None = None  # of an official checkpoint, as the next two
    variant: str | None = None
    checkpoint_sha256: str | None = None
    versions: Mapping[str, str] = Field(default_factory=dict)
    created_at: str | None = None
    exported_at: str | None = None


class _Sealed(Provenance):
    """The record with the fields that `seal` adds."""

    format: Literal["spikenas-export"]
    format_version: Literal[1]
    key: str
    files: Mapping[str, str]
    self_sha256: str


def seal(claims: Mapping[str, Any], key: str, contents: Mapping[str, bytes]) -> bytes:
    """Return the content of ``provenance.json``; raises UsageError as `check_claims` does."""
    record = check_claims(claims) | {
        "format": "spikenas-export",
        "format_version": 1,
        "key": key,
        "files": {name: _sha256(content) for name, content in contents.items()},
    }
    return render({**record, "self_sha256": _sha256(_canonical(record))})


def check_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the validated claims; a search calls this before it trains.

    Raises:
        UsageError: a claim is unknown, of the wrong type, not JSON, or contains a path or URL.
    """
    known = list(Provenance.model_fields)
    for name in claims:
        if name not in known:
            raise UsageError(
                f"provenance.{name} is not a key of an export{did_you_mean(name, known)}; "
                f"known: {', '.join(known)}"
            )
    refuse_private(claims, "provenance")
    try:
        record = Provenance.model_validate(dict(claims)).model_dump(exclude_none=True)
    except ValidationError as error:
        raise UsageError(f"provenance: {_first(error)}") from None
    render(record)
    return record


def verify(folder: str | Path) -> None:
    """Verify every file of an export; raises ArtefactError for the first fault."""
    read_verified(folder)


def read_plugins(folder: str | Path) -> tuple[str, ...]:
    """Return the recorded plugins of an export."""
    return read_plugins_and_code(folder)[0]


def read_plugins_and_code(folder: str | Path) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the recorded plugins, and the digests of the code of the training."""
    record = _read_record(Path(folder))
    return tuple(record.plugins or ()), record.code or {}


def read_verified(folder: str | Path) -> tuple[dict[str, bytes], str]:
    """Verify an export, and return the bytes of every file and the architecture's key."""
    folder = Path(folder)
    record = _read_record(folder)
    for name in FILES:
        if name not in record.files:
            raise ArtefactError(f"{folder}: {PROVENANCE} does not record {name}; export it again")
    contents = {}
    for name, digest in record.files.items():
        if name == PROVENANCE or not _FILE_NAME.fullmatch(name):
            raise ArtefactError(
                f"{folder}: {PROVENANCE} records {name!r}, which is not a file here"
            )
        contents[name] = _read(folder, name)
        found = _sha256(contents[name])
        if found != digest:
            raise ArtefactError(
                f"{folder}: {name} is damaged: its SHA-256 is {found[:12]}..., recorded was "
                f"{digest[:12]}...; export it again"
            )
    for entry in folder.iterdir():  # hidden files such as .DS_Store are ignored
        if entry.name not in (PROVENANCE, *contents) and not entry.name.startswith("."):
            raise ArtefactError(
                f"{folder}: holds {entry.name}, which {PROVENANCE} does not record; move it out"
            )
    return contents, record.key


def render(record: Mapping[str, Any]) -> bytes:
    """Return the JSON text of a record; UsageError for NaN and other non-JSON values."""
    try:
        text = json.dumps(record, indent=2, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"an export can only contain plain JSON: {error}") from None
    return f"{text}\n".encode()


def parse(content: bytes, where: str) -> dict[str, Any]:
    """Return a JSON object, or raise ArtefactError."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{where}: not valid JSON: {error}") from None
    if not isinstance(record, dict):
        raise ArtefactError(f"{where}: not a JSON object")
    return record


def refuse_private(value: object, where: str) -> None:
    """Raise UsageError for a string with an absolute path or a database URL.

    Host names are allowed, as a run, a data set or a chip can have the same name.
    """
    if isinstance(value, Mapping):
        for name, entry in value.items():
            refuse_private(entry, f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for i, entry in enumerate(value):
            refuse_private(entry, f"{where}[{i}]")
    elif isinstance(value, str) and _PRIVATE.search(value):
        raise UsageError(
            f"{where} names a path or a URL, which an export must not reveal; "
            "leave it out or give a plain name"
        )


def _read_record(folder: Path) -> _Sealed:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder, so no export")
    content = _read(folder, PROVENANCE)
    found = parse(content, f"{folder}/{PROVENANCE}")
    sealed = found.pop("self_sha256", None)
    try:
        is_sealed = sealed == _sha256(_canonical(found))
        is_rendered = content == render({**found, "self_sha256": sealed})
    except UsageError:  # NaN, which `render` refuses
        is_sealed = is_rendered = False
    if not (is_sealed and is_rendered):
        raise ArtefactError(f"{folder}: {PROVENANCE} is damaged, or was not written by spikenas")
    try:
        return _Sealed.model_validate({**found, "self_sha256": sealed})
    except ValidationError as error:
        raise ArtefactError(f"{folder}: {PROVENANCE}: {_first(error)}") from None


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if path.is_symlink():
        raise ArtefactError(f"{folder}: {name} is a link; an export holds plain files only")
    if not path.is_file():
        raise ArtefactError(f"{folder}: {name} is missing; export it again")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"{folder}: {name} cannot be read: {error}") from error


def _first(error: ValidationError) -> str:
    details = error.errors()[0]
    return f"{'.'.join(map(str, details['loc']))}: {details['msg'].lower()}"


def _canonical(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
