"""`matrices_in`: the matrices of numbers in a ``.mat`` file of MATLAB 5 to 7.2, by numpy and zlib.

A file is 128 bytes of text, version and byte order, then elements: a type, a size, and as many
bytes, filled up to a multiple of 8. An element may be compressed; one that is a matrix is made of
elements itself: flags, shape, name and values, by columns, in any type that holds them (MathWorks,
MAT-File Format, R2023a). `scipy.io.loadmat` reads far more, but crashes the interpreter on some
damaged files: of an uncompressed one, where the byte of a type was inverted.
"""

import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikenas.exceptions import DataError

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = range(6, 16)  # the classes double, single, int8 ... uint64
_COMPLEX = 0x08
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}


def matrices_in(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return the real matrices of a file by name; what else it has, characters say, is left out.

    Raises DataError where it is no such file, or is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if content.startswith(b"MATLAB 7.3"):
        raise DataError(f"{path} is in MATLAB's format 7.3, which is not read; save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if order is None:
        raise DataError(f"{path} is no MATLAB 5 file; delete it or write it again")
    try:
        return dict(_matrices(content[_HEADER:], order))
    except (ValueError, zlib.error) as error:
        raise DataError(
            f"{path} is truncated or damaged: {error}; delete it or write it again"
        ) from error


def _matrices(content: bytes, order: str) -> Iterator[tuple[str, NDArray[np.generic]]]:
    for kind, element in _elements(content, order):
        if kind == _COMPRESSED:
            yield from _matrices(zlib.decompress(element), order)
        elif kind == _MATRIX:
            (_, flags), (_, shape), (_, name), *values = _elements(element, order)
            bits = int(np.frombuffer(flags, f"{order}u4")[0])
            if bits & 0xFF in _NUMBERS and not bits >> 8 & _COMPLEX:
                rows = tuple(np.frombuffer(shape, f"{order}i4").tolist())
                yield name.decode("latin-1"), _values(values, rows, order)


def _values(
    elements: list[tuple[int, bytes]], shape: tuple[int, ...], order: str
) -> NDArray[np.generic]:
    if len(elements) != 1 or elements[0][0] not in _TYPES:
        raise ValueError("a matrix without values")
    values = np.frombuffer(elements[0][1], order + _TYPES[elements[0][0]])
    if min(shape, default=-1) < 0 or prod(shape) != len(values):
        raise ValueError(f"{len(values)} values in a matrix of the shape {[*shape]}")
    return values.reshape(shape, order="F")


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of the elements; a small one has its size beside its type."""
    start = 0
    while start < len(content):
        kind, size = np.frombuffer(content[start : start + 8], f"{order}u4", 2).tolist()
        is_small = kind >> 16 > 0
        if is_small:
            kind, size = kind & 0xFFFF, kind >> 16
        begin = start + (4 if is_small else 8)
        end = begin + size
        if end > len(content) or (is_small and size > 4):
            raise ValueError(f"an element of {size} bytes is cut off")
        yield kind, content[begin:end]
        start = end if kind == _COMPRESSED else -(-end // 8) * 8
