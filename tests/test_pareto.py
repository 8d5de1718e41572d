"""Pareto dominance, against pictures and plain loops. Lower is better on both axes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikenas.pareto import is_non_dominated

FLOATS = st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, float("inf"), float("nan")])
POINTS = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(FLOATS, min_size=n, max_size=n), max_size=12)
)


def dominates(a: list[float], b: list[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(
        x < y for x, y in zip(a, b, strict=True)
    )


def front(points: list[list[float]]) -> list[bool]:
    """The definition, word by word."""
    return [
        not np.isnan(point).any() and not any(dominates(other, point) for other in points)
        for point in points
    ]


def test_the_front_of_a_picture() -> None:
    #  3 | a
    #  2 |   . c
    #  1 |   b   d        a, b and e are the front
    #  0 |         e
    #    +-----------
    #      0 1 2 3 4
    a, b, c, d, e = (0, 3), (1, 1), (2, 2), (3, 1), (4, 0)

    assert is_non_dominated([a, b, c, d, e]).tolist() == [True, True, False, False, True]


@given(POINTS)
def test_the_front_is_what_the_definition_says(points: list[list[float]]) -> None:
    assert is_non_dominated(points).tolist() == front(points)


@given(POINTS)
def test_no_front_member_dominates_another(points: list[list[float]]) -> None:
    members = [p for p, member in zip(points, is_non_dominated(points), strict=True) if member]

    assert not any(dominates(a, b) for a in members for b in members)


@given(POINTS.filter(bool))
def test_adding_a_dominated_point_leaves_the_front(points: list[list[float]]) -> None:
    before = is_non_dominated(points).tolist()
    worse = [value + 1 for value in points[0]]

    after = is_non_dominated([*points, worse]).tolist()

    assert after[:-1] == before


def test_equal_points_are_on_the_front_together() -> None:
    assert is_non_dominated([(1, 1), (1, 1), (2, 1)]).tolist() == [True, True, False]


def test_a_point_with_nan_is_never_on_the_front() -> None:
    points = [(float("nan"), 0.0), (1.0, 1.0), (2.0, 2.0)]

    assert is_non_dominated(points).tolist() == [False, True, False]


@pytest.mark.parametrize("empty", [[], np.empty((0, 2))])
def test_no_points_have_an_empty_front(empty: list[list[float]]) -> None:
    assert is_non_dominated(empty).tolist() == []
