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
    kept: list[int] = []
    for i in order:
        others = values[kept]
        dominated = (others <= values[i]).all(axis=1) & (others < values[i]).any(axis=1)
        if not dominated.any():
            kept.append(int(i))
    front[kept] = True
    return front
