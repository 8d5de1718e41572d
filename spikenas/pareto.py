"""Pareto dominance over any number of objectives, each to be minimised.

A point dominates another if it is worse in no objective and better in at least one; equal points
do not dominate each other. A point with NaN dominates no other and is never on a front.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def is_non_dominated(points: Sequence[Sequence[float]] | NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return a mask [n] of the front of ``points`` [n, objectives], lower is better."""
    values = np.asarray(points, dtype=np.float64)
    if values.size == 0:
        return np.zeros(len(values), dtype=bool)
    valid = ~np.isnan(values).any(axis=1)
    front = np.zeros(len(values), dtype=bool)
    candidates = np.flatnonzero(valid)
    order = candidates[np.lexsort(values[candidates].T[::-1])]  # dominating points come first
    while len(order):
        best = values[order[0]]  # of what is left, nothing dominates the first
        front[order[0]] = True
        others = values[order]
        is_dominated = (others >= best).all(axis=1) & (others > best).any(axis=1)
        is_dominated[0] = True  # done with
        order = order[~is_dominated]
    return front
