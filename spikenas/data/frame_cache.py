"""`cached_frames`: binned frames are kept on disk, so that each is binned once for each T.

They lie as ``.npy`` under $SPIKENAS_CACHE, else ``~/.cache/spikenas``, named by the hash of all
that they follow from; the folder may be deleted at any time. A file is written beside its place,
synced and renamed, so several workers at once are safe: the last one wins, with equal content.
Whatever is not a whole array of the right shape is made again. A cache that cannot be written
costs time and one warning.
"""

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def cached_frames(
    name: str,
    origin: Mapping[str, object],
    shape: tuple[int, ...],
    make: Callable[[], NDArray[np.uint8]],
) -> NDArray[np.uint8]:
    """Return the frames of ``origin`` (plain JSON), made by ``make`` if none are kept.

    What was kept is mapped into memory, copied where it is written to, and read as it is used.
    """
    if not shape[0]:  # an empty file cannot be mapped
        return np.empty(shape, np.uint8)
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()
    path = folder() / "frames" / f"{name}-{digest[:32]}.npy"
    kept = _kept(path, shape)
    if kept is not None:
        return kept
    frames = make()
    assert frames.shape == shape
    try:
        _keep(path, frames)
    except OSError as error:
        _warn_once(path.parent, str(error))
    return frames


def folder() -> Path:
    """Return where frames are kept."""
    return Path(os.environ.get("SPIKENAS_CACHE") or "~/.cache/spikenas").expanduser()


def _kept(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    try:
        frames: NDArray[np.uint8] = np.lib.format.open_memmap(path, mode="c")
    except (OSError, ValueError, EOFError):  # absent, no array, or cut off
        return None
    return frames if frames.shape == shape and frames.dtype == np.uint8 else None


def _keep(path: Path, frames: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.save(file, frames, allow_pickle=False)
            file.flush()
            os.fsync(descriptor)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _warn_once(folder: Path, error: str) -> None:
    warnings.warn(
        f"binned frames cannot be kept in {folder}: {error}; they are binned anew in every "
        "process. Name a folder that can be written with SPIKENAS_CACHE",
        stacklevel=2,
    )
