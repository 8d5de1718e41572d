"""`cached_path`: where a file is kept that can be made again: data sets ready for use, kernels.

It lies under $SPIKENAS_CACHE, else ``~/.cache/spikenas``. Where nothing can be written there, as
with a read-only home or none at all, under a folder of the user's in the temporary folder.
"""

import logging
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

_log = logging.getLogger(__name__)


def cached_path(name: str) -> Path:
    """Return where a cached file lies, or is to be written."""
    named = Path(os.environ.get("SPIKENAS_CACHE") or "~/.cache/spikenas")
    with suppress(RuntimeError):  # the user has no home
        named = named.expanduser()
    if (named / name).is_file():  # also in a cache that is read only
        return named / name
    return _writable(named) / name


@cache
def _writable(folder: Path) -> Path:
    """Return the folder, or the substitute for one that cannot be written, after one warning."""
    fault = _fault(folder)
    if fault is None:
        return folder
    try:
        substitute = _substitute()
    except OSError:  # nothing can be written anywhere; who wants to keep a file says it
        return folder
    _log.warning(
        "the cache %s cannot be written (%s); it is %s instead. Name a folder that can be written "
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
    """Return a temporary folder that nobody else can write, the same for every process if it can.

    Libraries are loaded from it, so one that another user has made is not taken.
    """
    folder = Path(tempfile.gettempdir(), f"spikenas-cache-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        is_own = found.st_uid == os.getuid() and found.st_mode & 0o170777 == 0o040700
        return folder if is_own else Path(tempfile.mkdtemp(prefix="spikenas-cache-"))
    return folder
