from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from spikenas.hardware.placement.matching import matching

candidates = st.lists(st.lists(st.integers(0, 4), unique=True).map(sorted), max_size=5)


@given(candidates)
def test_a_matching_is_as_large_as_any(candidates):
    best = max(
        sum(core in cores for core, cores in zip(order, candidates, strict=False))
        for order in permutations(range(5))
    )

    found = matching(candidates)

    assert len(found) == best
    assert len({*found.values()}) == len(found)
    assert all(core in candidates[layer] for layer, core in found.items())


def test_an_earlier_layer_makes_room():
    assert matching([[0, 1], [0], [1, 2]]) == {0: 1, 1: 0, 2: 2}


def test_nothing_to_place_needs_nothing():
    assert matching([]) == {}
    assert matching([[]]) == {}
