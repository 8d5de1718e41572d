import itertools

import numpy as np
import pytest

from spikenas.strategy.hypervolume_improvement import expected_improvement, non_dominated_boxes


@pytest.mark.parametrize("num_objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("is_log", [False, True])
def test_the_expectation_is_the_mean_over_draws(num_objectives: int, is_log: bool) -> None:
    random = np.random.default_rng(num_objectives)
    front = random.uniform(1.0, 2.0, (6, num_objectives))
    reference = np.full(num_objectives, 2.2)
    mean = random.uniform(0.0, 0.6, (3, num_objectives))
    deviation = random.uniform(0.2, 0.5, (3, num_objectives))

    found = expected_improvement(
        *non_dominated_boxes(front, reference), mean, deviation, [is_log] * num_objectives
    )

    draws = mean + deviation * random.standard_normal((500, 3, num_objectives))
    drawn = np.exp(draws) if is_log else draws
    expected = [_improvements(front, reference, drawn[:, i]).mean() for i in range(3)]
    np.testing.assert_allclose(found, expected, rtol=0.15, atol=0.01)


def test_with_one_objective_it_is_expected_improvement() -> None:
    # Jones 1998 with best = 1, mean = 1, deviation = 1: phi(0).
    boxes = non_dominated_boxes(np.array([[1.0], [3.0]]), np.array([5.0]))

    found = expected_improvement(*boxes, np.array([[1.0]]), np.array([[1.0]]), [False])

    assert found == pytest.approx([0.3989423])


def test_a_sure_point_improves_by_the_area_that_it_adds() -> None:
    front, reference = np.array([[1.0, 3.0], [2.0, 1.0]]), np.array([4.0, 4.0])
    sure = np.array([[1e-12, 1e-12]])

    found = expected_improvement(
        *non_dominated_boxes(front, reference), np.array([[1.5, 2.0]]), sure, [False, False]
    )

    # Left of 2 and below 3: 0.5 wide, 1 high.
    assert found == pytest.approx([0.5])


def test_without_a_front_everything_below_the_reference_counts() -> None:
    lower, upper = non_dominated_boxes(np.empty((0, 3)), np.ones(3))

    assert lower.tolist() == [[-np.inf] * 3]
    assert upper.tolist() == [[1.0] * 3]


def test_a_large_front_of_three_objectives_is_thinned() -> None:
    angles = np.random.default_rng(0).dirichlet(np.ones(3), 400)

    lower, _ = non_dominated_boxes(angles, np.ones(3) * 1.1)

    assert len(lower) < 4000


def _improvements(front: np.ndarray, reference: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """By a grid-free rule: the volume of the draw's box minus what the front has of it."""
    own = np.prod(np.maximum(reference - draws, 0), axis=1)
    corners = np.maximum(front[None], draws[:, None])  # [draws, k, m]
    return own - np.array([_volume(each, reference) for each in corners])


def _volume(points: np.ndarray, reference: np.ndarray) -> float:
    points = points[(points < reference).all(axis=1)]
    if len(points) == 0:
        return 0.0
    if len(reference) == 1:
        return float(reference[0] - points.min())
    levels = [*np.unique(points[:, -1]), reference[-1]]
    return sum(
        (top - bottom) * _volume(points[points[:, -1] <= bottom, :-1], reference[:-1])
        for bottom, top in itertools.pairwise(levels)
    )
