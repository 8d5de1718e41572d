"""How much memory of a neural processor an Akida 1 layer uses, and so how many it needs.

Measured with the vendor's mapper (akida 2.19.3, virtual AKD1000), which reports both memories of
every processor; the formulas reproduce its report to the byte.

Input memory of a tile of h x w x c at b bits: columns of words,
    4 w ceil(c ceil(h b / 8) / 4)
A map is cut into tiles of at most 32 rows and 256 columns, with k // 2 rows or columns of overlap
at each inner edge. Of all cuts that fit, the one with the fewest tiles is taken, then the one with
the most cuts along the height.

Weight memory of f filters, g = ceil(f / 8), in lines of 50 bytes for each input channel, which
hold as many groups of 8 filters as in `_GROUPS`. A separable layer has lines of depthwise kernels
as in `_DEPTHWISE`, and 50 / 8 bytes per channel for 24 / bits groups of pointwise weights.
Fully connected, n inputs: 16 bytes and 4, 8 or 24 for each 32 inputs, for each neuron.
"""

from functools import lru_cache
from math import ceil

_LINE = 50  # bytes
_MOST_LINES = 256  # of one channel
# kernel, bits: lines per block, groups of 8 filters that some blocks hold, how many blocks
_GROUPS = {
    (1, 1): (1, 24, 1),
    (1, 2): (1, 24, 1),
    (1, 4): (2, 24, 1),
    (3, 1): (1, 5, 1),
    (3, 2): (1, 5, 2),
    (3, 4): (2, 8, 3),
    (5, 1): (1, 2, 1),
    (5, 2): (1, 1, 1),
    (5, 4): (2, 1, 1),
    (7, 1): (1, 1, 1),
    (7, 2): (2, 1, 1),
    (7, 4): (2, 8, 21),
}
# kernel, bits: depthwise kernels that some lines hold, how many lines
_DEPTHWISE = {
    (3, 2): (16, 1),
    (3, 4): (8, 1),
    (5, 2): (8, 1),
    (5, 4): (8, 3),
    (7, 2): (8, 3),
    (7, 4): (8, 7),
}
_DENSE_WORD = {1: 4, 2: 8, 4: 24}


def conv_bytes(channels: int, filters: int, kernel: int, bits: int) -> int | None:
    """Return the weight memory of a convolution on one processor, None if it has too few lines."""
    lines, groups, blocks = _GROUPS[kernel, bits]
    each = lines * ceil(ceil(filters / 8) * blocks / groups)
    return channels * each * _LINE if each <= _MOST_LINES else None


def separable_bytes(channels: int, filters: int, kernel: int, bits: int) -> int:
    """Return the weight memory of a separable convolution on one processor."""
    kernels, lines = _DEPTHWISE[kernel, bits]
    depthwise = ceil(channels * lines / kernels) * _LINE
    whole, rest = divmod(filters, 8)
    pointwise = ceil(whole * bits / 6) + (rest > 0)
    return depthwise + ceil(channels * pointwise * _LINE / 8)


def dense_bytes(inputs: int, neurons: int, bits: int) -> int:
    """Return the weight memory of a fully connected layer."""
    return neurons * (16 + _DENSE_WORD[bits] * ceil(inputs / 32))


def input_bytes(height: int, width: int, channels: int, bits: int) -> int:
    """Return the input memory of one tile."""
    return width * 4 * ceil(channels * ceil(height * bits / 8) / 4)


@lru_cache(maxsize=4096)
def tiles(
    shape: tuple[int, int, int],
    *,
    kernel: int,
    step: int,
    bits: int,
    memory: float,
    most: tuple[float, float],
    limit: int,
) -> int | None:
    """Return into how many tiles a map (c, h, w) is cut, None if more than ``limit``.

    The sides of all but the last tile are multiples of ``step``.
    """
    channels, height, width = shape
    for count in range(1, limit + 1):
        for cuts in range(count, 0, -1):
            if count % cuts:
                continue
            rows = _tile(height, cuts, kernel, step, most[0])
            columns = _tile(width, count // cuts, kernel, step, most[1])
            if rows and columns and input_bytes(rows, columns, channels, bits) <= memory:
                return count
    return None


def _tile(size: int, cuts: int, kernel: int, step: int, most: float) -> int | None:
    """Return the side of the largest tile with its overlap, None if this cut is impossible."""
    side = ceil(ceil(size / cuts) / step) * step if cuts > 1 else size
    if side > most or ceil(size / side) != cuts:
        return None
    edges = min(cuts - 1, 2)
    return min(side + kernel // 2 * edges, size)


def shares(filters: int, processors: int) -> tuple[int, int]:
    """Return how many filters each processor has, and how many remain for the last one."""
    each = ceil(filters / processors)
    return each, filters - each * (ceil(filters / each) - 1)
