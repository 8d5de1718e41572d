import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikenas.exceptions import told_apart


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
