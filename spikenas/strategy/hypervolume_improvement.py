"""Expected hypervolume improvement: how much a candidate should add to what the front dominates.

All objectives are losses. What a front does not dominate, below the reference point, is cut into
boxes (l, u), so the improvement by a point y is the sum of prod_j [(u_j - y_j)+ - (l_j - y_j)+].
For independent predictions the expectation goes inside the product, and each factor has a closed
form: for a normal loss, E(c - Y)+ = s (t Phi(t) + phi(t)) with t = (c - m) / s; for one whose
logarithm is normal, c Phi(t) - exp(m + s^2 / 2) Phi(t - s) with t = (ln c - m) / s.

With one objective there is one box and this is expected improvement (Jones 1998); with two it is
the strips of Emmerich 2011; with more, slices along the last objective (as in While 2012).

Axes: k front members, m objectives, b boxes, n candidates.
"""

import itertools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from spikenas import pareto

Array: TypeAlias = NDArray[np.float64]
_MOST_BOXES = 2000


def non_dominated_boxes(front: Array, reference: Array) -> tuple[Array, Array]:
    """Return the lower and upper corners, [b, m] each, of what ``front`` [k, m] leaves open.

    With three objectives or more a large front is thinned, so that there are at most about 2,000.
    """
    inside = front[(front < reference).all(axis=1)]
    inside = inside[pareto.is_non_dominated(inside)]
    num_objectives = len(reference)
    if num_objectives > 2:
        most = max(num_objectives, int(_MOST_BOXES ** (1 / (num_objectives - 1))))
        inside = _spread(inside, most)
    boxes = _sliced(inside, reference)
    lower, upper = (np.array([box[end] for box in boxes]) for end in (0, 1))
    return lower, upper


def expected_improvement(
    lower: Array, upper: Array, mean: Array, deviation: Array, is_log: Sequence[bool]
) -> Array:
    """Return the expectation [n] over boxes [b, m], for predictions ``mean`` [n, m].

    ``is_log`` says of each objective whether its prediction is of the logarithm of the loss.
    """
    product = np.ones((len(mean), len(lower)))
    for j, log in enumerate(is_log):
        shortfall = _log_normal_shortfall if log else _normal_shortfall
        bounds, places = np.unique(np.concatenate([lower[:, j], upper[:, j]]), return_inverse=True)
        below = np.zeros((len(mean), len(bounds)))
        known = bounds > (0.0 if log else -np.inf)
        below[:, known] = shortfall(bounds[known], mean[:, j, None], deviation[:, j, None])
        below = below[:, places]
        product *= below[:, len(lower) :] - below[:, : len(lower)]
    improvement: Array = product.sum(axis=1)
    return improvement


def _normal_shortfall(bound: Array, mean: Array, deviation: Array) -> Array:
    t = (bound - mean) / deviation
    density = np.exp(-0.5 * t**2) / np.sqrt(2 * np.pi)
    return np.asarray(deviation * (t * ndtr(t) + density))


def _log_normal_shortfall(bound: Array, mean: Array, deviation: Array) -> Array:
    t = (np.log(bound) - mean) / deviation
    mean_below = np.exp(np.minimum(mean + 0.5 * deviation**2, 700.0)) * ndtr(t - deviation)
    return np.asarray(np.maximum(bound * ndtr(t) - mean_below, 0.0))


def _sliced(front: Array, reference: Array) -> list[tuple[list[float], list[float]]]:
    """Cut along the last objective; in a slice, only members that reach below it count."""
    if len(front) == 0:
        return [([-np.inf] * len(reference), reference.tolist())]
    if len(reference) == 1:
        return [([-np.inf], [float(front.min())])]
    levels = [-np.inf, *np.unique(front[:, -1]).tolist(), float(reference[-1])]
    boxes = []
    for bottom, top in itertools.pairwise(levels):
        active = front[front[:, -1] <= bottom][:, :-1]
        active = active[pareto.is_non_dominated(active)]
        boxes += [([*low, bottom], [*high, top]) for low, high in _sliced(active, reference[:-1])]
    return boxes


def _spread(front: Array, most: int) -> Array:
    """Keep the best of each objective, then always the member farthest from those kept."""
    if len(front) <= most:
        return front
    scaled = (front - front.min(0)) / (np.ptp(front, axis=0) + 1e-12)
    kept = list(dict.fromkeys(scaled.argmin(0).tolist()))
    distance = np.linalg.norm(scaled[:, None] - scaled[kept], axis=2).min(1)
    while len(kept) < most:
        kept.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[kept[-1]], axis=1))
    spread: Array = front[np.array(kept)]
    return spread
