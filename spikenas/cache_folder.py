"""`cached_path`: the path of a file that can be recreated: prepared data sets, compiled kernels.

The cache is $SPIKENAS_CACHE, else ``~/.cache/spikenas``. If it cannot be written, as with a
read-only home or without one, a private folder in the temporary folder is used.
"""

import logging
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

_log = logging.getLogger(__name__)


def cached_path(name: str) -> Path:
    """Return the path of a cached file, or the path to write it to."""
    named = Path(os.environ.get("SPIKENAS_CACHE") or "~/.cache/spikenas")
    with suppress(RuntimeError):  # the user has no home
        named = named.expanduser()
    if (named / name).is_file():  # also in a read-only cache
        return named / name
    return _writable(named) / name


@cache
def _writable(folder: Path) -> Path:
    """Return the folder; if it cannot be written, warn once and return the substitute."""
    fault = _fault(folder)
    if fault is None:
        return folder
    try:
        substitute = _substitute()
    except OSError:  # nothing is writable; the caller that writes a file reports it
        return folder
    _log.warning(
        "the cache %s cannot be written (%s); using %s instead. Name a folder that can be written "
        "with SPIKENAS_CACHE",
        folder,
        fault,
        substitute,
    )
    return substitute


def _fault(folder: Path) -> str | None:
    if folder.parts[0].startswith("~"):
        return "this user has no home folder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror


def _substitute() -> Path:
    """Return a temporary folder that only this user can write, if possible the same every time.

    Libraries are loaded from it, so a folder of another user is not used.
    """
    folder = Path(tempfile.gettempdir(), f"spikenas-cache-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        is_own = found.st_uid == os.getuid() and found.st_mode & 0o170777 == 0o040700
        return folder if is_own else Path(tempfile.mkdtemp(prefix="spikenas-cache-"))
    return folder
