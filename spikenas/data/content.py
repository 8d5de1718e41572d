"""What identifies data: the bytes and the relative paths of its files, and nothing else.

Neither the folder's place nor a file's time tells one set from another. A digest is remembered
within the process for as long as device, inode, size and both times of its file stay as they
are; one whose ctime is less than two seconds old is not remembered, for it may yet change within
one tick of the file system's clock.
"""

import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from spikenas.data.event_layouts import find
from spikenas.data.event_sets import EVENT_SETS
from spikenas.data.spec import DataSpec, source_of
from spikenas.exceptions import DataError

_RACY_NS = 2_000_000_000
_digests: dict[tuple[Path, tuple[int, ...]], bytes] = {}


def content_sha256(spec: DataSpec) -> str:
    """Return the hash of the bytes and relative paths of all files that the set is read from.

    Of data of the user's own it is that of their samples. Raises DataError where a file is missing
    or cannot be read.
    """
    if spec.own is not None:
        return spec.own.sha256
    folder = Path(os.path.abspath(spec.folder))  # noqa: PTH100  (links stay as they are)
    if spec.kind == "events":
        files = find(EVENT_SETS[spec.name], folder, spec.binning).files
    else:
        files = source_of(spec).files(folder)
    with ThreadPoolExecutor() as threads:  # hashing runs outside the interpreter's lock
        digests = list(threads.map(_file_sha256, files))
    whole = hashlib.sha256()
    for path, digest in sorted(
        (_relative(path, folder), digest) for path, digest in zip(files, digests, strict=True)
    ):
        whole.update(hashlib.sha256(path).digest() + digest)
    return whole.hexdigest()


def fingerprint(spec: DataSpec, content: str | None = None) -> str:
    """Return everything but code that fixes the images and their split, as JSON.

    ``content`` is the hash of the files where it is known; else they are read for it.
    """
    record: dict[str, Any] = {**spec.to_dict(), "content_sha256": content or content_sha256(spec)}
    del record["root"]
    if spec.kind == "frames":
        del record["num_steps"], record["binning"]
    if spec.own is not None:
        del record["own"], record["name"]  # equal samples are equal, whatever they are called
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def _relative(path: Path, folder: Path) -> bytes:
    """Return the path within the data's folder; digits lie within a package instead."""
    return os.fsencode(path.relative_to(folder) if path.is_relative_to(folder) else path.name)


def _file_sha256(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            before = _guard(os.fstat(file.fileno()))
            known = _digests.get((path, before))
            if known is not None:
                return known
            digest = hashlib.file_digest(file, "sha256").digest()
            after = _guard(os.fstat(file.fileno()))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; put it back whole") from error
    if before != after:
        raise DataError(f"{path} changed while it was read; try again when it is at rest")
    if time.time_ns() - after[-1] > _RACY_NS:
        _digests[path, after] = digest
    return digest


def _guard(stat: os.stat_result) -> tuple[int, ...]:
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
