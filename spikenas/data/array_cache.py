"""`cached_arrays`: a data set ready for use is kept on disk, once for all workers of a machine.

It lies in the cache (`spikenas.cache_folder`), named by the hash of all that it follows from; it
may be deleted at any time. Each process maps the file, so the images are in memory once, as pages
of the file, however many workers read them.

A file is written beside its place, synced and renamed; who needs it meanwhile waits for it. It
ends with a checksum: whatever is cut off, damaged or foreign is made again. A cache that cannot
be written costs time, memory and one warning.
"""

import fcntl
import hashlib
import json
import os
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikenas.cache_folder import cached_path


class LabelledImages(NamedTuple):
    """Images, uint8 [N, ...], and labels, int64 [N]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def cached_arrays(
    name: str, origin: Mapping[str, object], make: Callable[[], LabelledImages]
) -> LabelledImages:
    """Return the arrays of ``origin`` (plain JSON), made by ``make`` if none are kept.

    The images are mapped into memory, and copied page by page where they are written to.
    """
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()
    path = cached_path(f"data/{name}-{digest[:32]}.npy")
    kept = _kept(path)
    if kept is not None:
        return kept
    with _alone_in(path.parent):
        kept = _kept(path)  # another process may just have made them
        if kept is not None:
            return kept
        made = make()
        try:
            _keep(path, made)
        except OSError as error:
            _warn_once(path.parent, str(error))
            return made
        return _kept(path) or made


def _kept(path: Path) -> LabelledImages | None:
    """Return what a file holds: images, labels and their checksum, one .npy after another."""
    try:
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                return None
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
            if is_fortran or dtype != np.uint8:
                return None
            start = file.tell()
            images: NDArray[np.uint8] = np.memmap(file, np.uint8, "c", start, shape)
            file.seek(start + prod(shape))
            labels = np.lib.format.read_array(file, allow_pickle=False)
            checksum = np.lib.format.read_array(file, allow_pickle=False)
        found = LabelledImages(images, labels)
        return found if np.array_equal(checksum, _checksum(found)) else None
    except (OSError, MemoryError, OverflowError, ValueError, TypeError):  # absent or cut off
        return None
    except (EOFError, SyntaxError, TokenError):  # a header that NumPy cannot parse
        return None


def _keep(path: Path, arrays: LabelledImages) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            for each in (*arrays, _checksum(arrays)):
                np.save(file, each, allow_pickle=False)
            file.flush()
            os.fsync(descriptor)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


def _checksum(arrays: LabelledImages) -> NDArray[np.uint32]:
    form = repr([(each.shape, each.dtype.str) for each in arrays]).encode()
    return np.array(
        zlib.crc32(arrays.labels.data, zlib.crc32(arrays.images.data, zlib.crc32(form))), np.uint32
    )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from making the same; where there are no locks, they do no harm."""
    descriptor = None
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # ends with the process, however that ends
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


@lru_cache(maxsize=1)
def _warn_once(folder: Path, error: str) -> None:
    warnings.warn(
        f"the data set cannot be kept in {folder}: {error}; every process reads it anew and holds "
        "a copy of its own. Name a folder that can be written with SPIKENAS_CACHE",
        stacklevel=2,
    )
