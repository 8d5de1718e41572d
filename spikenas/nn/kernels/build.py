"""Build a C source once per machine; the cache key has source, flags, compiler and processor."""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from spikenas.cache_folder import cached_path

_FLAGS = (
    *("-O3", "-march=native", "-std=c11", "-fPIC", "-shared", "-fopenmp"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
)
_TIMEOUT_S = 120.0


def build(source: Path) -> Path:
    """Return the shared library of a C source.

    Two processes may build at the same time: each writes its own file and renames it.

    Raises:
        RuntimeError: there is no compiler, or it fails; the message says why.
        OSError: no folder is writable.
    """
    compiler = next(filter(None, map(shutil.which, _compilers())), None)
    if compiler is None:
        raise RuntimeError(f"no C compiler found ({', '.join(_compilers())}); install gcc")
    key = hashlib.sha256(
        "\0".join((source.read_text(), *_FLAGS, compiler, _processor())).encode()
    ).hexdigest()[:24]
    library = cached_path(f"kernels/{source.stem}-{key}.so")
    if library.is_file():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=library.stem, suffix=".tmp", dir=library.parent)
    os.close(handle)
    try:
        command = [compiler, *_FLAGS, "-o", draft, str(source), "-lm"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        if done.returncode:
            reason = next(iter(done.stderr.strip().splitlines()), "no message")
            raise RuntimeError(f"{compiler} fails: {reason}")
        Path(draft).replace(library)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{compiler} takes longer than {_TIMEOUT_S:.0f} s") from None
    finally:
        Path(draft).unlink(missing_ok=True)
    return library


def _compilers() -> tuple[str, ...]:
    named = os.environ.get("CC")
    return (named,) if named else ("gcc", "cc", "clang")


def _processor() -> str:
    """Return what -march=native depends on: machines may share a home folder but differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(wanted)))
