"""`find_ray_folder`: a usable folder for the session of a Ray that is started here.

Ray uses RAY_TMPDIR or TMPDIR without checking them, and fails seconds later, in a thread, if the
folder cannot be written or the paths of its sockets exceed the limit of the system.
"""

import logging
import os
import sys
import tempfile
from pathlib import Path

from spikenas.exceptions import ClusterError, shown

_SOCKET_BYTES = 107 if sys.platform.startswith("linux") else 103  # sun_path, without its NUL
_LONGEST_NAME = f"/ray/session_2026-01-01_00-00-00_000000_{os.getpid()}/sockets/plasma_store"
_MOST_BYTES = _SOCKET_BYTES - len(_LONGEST_NAME)
_log = logging.getLogger(__name__)


def find_ray_folder() -> Path:
    """Return the first folder of RAY_TMPDIR, TMPDIR, /tmp and /var/tmp that Ray can use.

    Raises ClusterError if there is none, with the reason for each.
    """
    named = [(name, os.environ[name]) for name in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(name)]
    faults: list[str] = []
    for origin, parent in [*named, ("", "/tmp"), ("", "/var/tmp")]:
        fault = _fault(Path(parent))
        if fault is None:
            if faults and named:
                _log.warning("%s; Ray keeps its files in %s instead", "; ".join(faults), parent)
            return Path(parent, "ray")
        faults.append(f"{origin}{' = ' * bool(origin)}{shown(parent)} {fault}")
    raise ClusterError(
        f"Ray has no place for its files: {'; '.join(faults)}. Set RAY_TMPDIR to a short path that "
        "can be written, or search with --workers inline"
    )


def _fault(parent: Path) -> str | None:
    """Return why Ray cannot use a folder, or None."""
    if not parent.is_absolute():
        return "is not an absolute path"
    try:
        num_bytes = len(str(parent).encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    if num_bytes > _MOST_BYTES:
        return f"has {num_bytes} bytes, and Ray's sockets leave room for {_MOST_BYTES}"
    own = parent / "ray"
    try:
        with tempfile.TemporaryFile(dir=own if own.exists() else parent):
            return None
    except OSError as error:
        return f"cannot be written: {error.strerror}"
