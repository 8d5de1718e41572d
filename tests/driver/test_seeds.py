"""Seeds: what a search proposes first, and what it says about it."""

import logging

import pytest

from spikenas.driver.seeds import seeds
from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.search_space import SearchSpace
from spikenas.settings import Seed
from spikenas.systems import published

from .conftest import Search

_FOREIGN = """
[input]
channels = 1
height = 8
width = 8
num_classes = 10
[choices]
num_steps = [1, 2]
neuron = "if"
residual = "none"
stem = "conv"
patch_size = 2
[[stages]]
embed_dim = 16
depth = 1
mixer = "conv"
mlp_ratio = 2
"""


@pytest.fixture
def cifar10() -> SearchSpace:
    return SearchSpace.load("cifar10")


def test_a_member_is_a_seed_as_it_is_and_nothing_is_said(
    cifar10: SearchSpace, caplog: pytest.LogCaptureFixture
) -> None:
    found = seeds(cifar10, ["spikformer-4-384-cifar10"])

    assert [seed.architecture for seed in found] == [published("spikformer-4-384-cifar10")]
    assert not caplog.records


def test_a_stranger_is_its_nearest_member_and_every_change_is_said(
    cifar10: SearchSpace, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = published("spikformer-8-768-imagenet")

    with caplog.at_level(logging.WARNING):
        (seed,) = seeds(cifar10, {"mine": stranger})

    assert seed == Seed(name="mine", genes=cifar10.nearest(stranger).to_dict())
    assert caplog.messages == [
        f"seed mine is not in space 'cifar10'; its nearest member {seed.architecture.id} has "
        "input 3x224x224 frames -> 3x32x32 frames, num_classes 1000 -> 10, patch_size 16 -> 4, "
        "stages[0].embed_dim 768 -> 512, stages[0].depth 8 -> 6, stages[0].num_heads 12 -> 8, "
        "stages[0].options.qkv_bias False -> default"
    ]


def test_two_seeds_of_one_nearest_member_are_one(
    cifar10: SearchSpace, caplog: pytest.LogCaptureFixture
) -> None:
    found = seeds(cifar10, ["spikformer-4-384-cifar10", published("spikformer-4-384-cifar10")])

    assert len(found) == 1
    assert "its nearest member is that of spikformer-4-384-cifar10" in caplog.text


def test_a_space_without_any_component_of_a_seed_refuses_it_with_the_reason() -> None:
    space = SearchSpace.from_toml(_FOREIGN, source="foreign")

    with pytest.raises(UsageError, match=r"nothing of it is in space 'foreign'.*neuron lif -> if"):
        seeds(space, ["spikformer-4-384-cifar10"])


def test_an_unknown_name_is_refused(cifar10: SearchSpace) -> None:
    with pytest.raises(UnknownNameError, match="spikformer-4-384-cifar10"):
        seeds(cifar10, ["spikformer-4-384-cifar"])


def test_a_name_instead_of_a_list_is_refused(cifar10: SearchSpace) -> None:
    with pytest.raises(UsageError, match="needed: a list"):
        seeds(cifar10, "spikformer-4-384-cifar10")


def test_a_search_proposes_its_seeds_first_and_keeps_them_with_the_run(search: Search) -> None:
    run = search(trials=3, seed_with=["stmixer-4-384-cifar10", "spikformer-4-384-cifar10"])

    kept = [seed.genes for seed in run.settings.seed_with]
    assert [each.architecture.to_dict() for each in run.candidates()[:2]] == kept
    assert [seed.name for seed in run.settings.seed_with] == [
        "stmixer-4-384-cifar10",
        "spikformer-4-384-cifar10",
    ]


def test_seeds_beyond_the_trials_are_warned_of(
    search: Search, caplog: pytest.LogCaptureFixture
) -> None:
    search(trials=1, seed_with=["stmixer-4-384-cifar10", "spikformer-4-384-cifar10"])

    assert "2 seeds, but trials = 1" in caplog.text
