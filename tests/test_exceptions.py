import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikenas import build_network
from spikenas.exceptions import UnknownNameError, UsageError, in_short, told_apart


class _Tensor:
    shape = (2, 3)

    def __repr__(self) -> str:
        return "[[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("5m", "'5m'"),
        (None, "None"),
        ("x" * 100, f"'{'x' * 76}..."),
        (_Tensor(), "a _Tensor of shape [2, 3]"),
        ((_Tensor(), [1, 2]), "a tuple of a _Tensor of shape [2, 3], a list of 1, 2"),
        ([1, 2, 3, 4], "a list of 1, 2, 3, ..."),
        ({"a": 1}, "a dict"),
        (max, "the builtin_function_or_method max"),
    ],
)
def test_an_error_shows_a_value_in_short(value, text):
    assert in_short(value) == text


def test_what_is_no_name_is_told_by_its_type():
    error = UnknownNameError("sampler", _Tensor(), ["tpe", "random"])

    assert str(error) == (
        "a sampler is named by text, not by a _Tensor of shape [2, 3]; known: random, tpe"
    )


@pytest.mark.parametrize(
    ("found", "limit", "text"),
    [
        (17.23, 16.0, "17.2"),
        (16.04, 16.0, "16.04"),
        (0.00013, 0.0001, "0.00013"),
        (12345.6, 16.0, "12,345.6"),
        (0.04, 0.05, "0.0"),
        (math.inf, 16.0, "inf"),
    ],
)
def test_a_figure_is_shown_in_as_many_decimals_as_tell_it_from_the_limit(found, limit, text):
    assert told_apart(found, limit) == text


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_figure_as_it_is_shown_is_on_its_side_of_the_limit(found, limit):
    shown = float(told_apart(found, limit).replace(",", ""))

    assert (shown > limit) == (found > limit)
    assert (shown < limit) == (found < limit)


def test_a_network_is_built_of_an_architecture_only():
    with pytest.raises(UsageError, match=r"is given a dict; needed: an Architecture, which"):
        build_network({"num_steps": 4})
