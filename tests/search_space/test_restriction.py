"""A space restricted to some values of its choices."""

import random

import pytest

from spikenas import SearchSpace
from spikenas.exceptions import SpecError, UsageError


@pytest.fixture(scope="module")
def cifar10() -> SearchSpace:
    return SearchSpace.load("cifar10")


def _samples(space: SearchSpace, number: int = 40) -> list:
    return [space.sample(random.Random(seed)) for seed in range(number)]


def test_every_member_has_the_values_and_is_a_member_of_the_whole(cifar10: SearchSpace) -> None:
    mixers = dict(cifar10.domain())["stages[0].mixer"][:2]

    part = cifar10.restricted({"num_steps": 4, "mixer": mixers})

    assert part.size() < cifar10.size()
    for member in _samples(part):
        assert member.num_steps == 4
        assert {mixer for stage in member.stages for mixer in stage.mixer} <= set(mixers)
        assert cifar10.contains(member)
        assert part.contains(part.mutate(member, 0))
    assert not all(map(part.contains, _samples(cifar10)))


def test_a_text_stands_for_the_value_that_it_spells(cifar10: SearchSpace) -> None:
    by_text = cifar10.restricted({"num_steps": ["4"]})

    assert {m.num_steps for m in _samples(by_text)} == {4}
    assert by_text != cifar10
    assert by_text.restricted({}) == by_text
    assert by_text.with_input(cifar10.input, 10).only == by_text.only


def test_one_place_can_be_restricted_alone(cifar10: SearchSpace) -> None:
    widths = dict(cifar10.domain())["stages[0].embed_dim"]

    part = cifar10.restricted({"stages[0].embed_dim": widths[0]})

    assert {member.stages[0].embed_dim for member in _samples(part)} == {widths[0]}


@pytest.mark.parametrize(
    ("only", "complaint"),
    [
        ({"num_step": 4}, r"'num_step' is not a choice; did you mean 'num_steps'\?; known: "),
        ({"num_steps": 1000}, "num_steps = 1000 is not in the space; it has: "),
        ({"num_steps": []}, "num_steps = None is not in the space"),
        ({"num_steps": True}, "num_steps = True is not in the space"),
        (["num_steps"], "only = .*needed: values by choice"),
    ],
)
def test_what_is_no_choice_or_no_value_is_refused(
    cifar10: SearchSpace, only: object, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        cifar10.restricted(only)


def test_a_restriction_that_leaves_nothing_is_refused() -> None:
    space = SearchSpace.from_toml(
        """
        [input]
        channels = 1
        height = 8
        width = 8
        num_classes = 10
        [choices]
        num_steps = 1
        neuron = "lif"
        residual = "spike"
        stem = "conv"
        patch_size = 2
        [[stages]]
        embed_dim = [6, 8]
        num_heads = [3, 4]
        depth = 1
        mixer = "ssa"
        """
    )

    assert space.restricted({"embed_dim": 6}).size() == 1
    with pytest.raises(SpecError, match="no architecture of this space obeys"):
        space.restricted({"embed_dim": 6, "num_heads": 4})
