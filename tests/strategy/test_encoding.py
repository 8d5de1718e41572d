import numpy as np

from spikenas.search_space import Traits
from spikenas.strategy.encoding import Encoder


def test_equal_values_have_equal_codes_and_an_absent_choice_has_its_own() -> None:
    members = [
        Traits(choices={"a": 1}),
        Traits(choices={"a": 2, "b": "x"}),
        Traits(choices={"a": 1}),
    ]

    codes = Encoder(members).features(members).choices

    assert codes[0].tolist() == codes[2].tolist()
    assert len(set(codes[:, 0].tolist())) == 2
    assert codes[0, 1] != codes[1, 1]


def test_counts_are_standardised_and_constant_ones_left_out() -> None:
    members = [Traits(choices={}, counts={"depth": d, "width": 4.0}) for d in (1.0, 3.0)]

    counts = Encoder(members).features(members).counts

    np.testing.assert_allclose(counts, [[-1.0], [1.0]])
