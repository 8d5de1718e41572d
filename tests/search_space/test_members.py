"""A space against the brute force of its file: what it counts, draws and changes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Document, architectures, documents, members, spaces, to_toml

from spikenas.architecture import Architecture, InputSpec
from spikenas.exceptions import ArchitectureError
from spikenas.search_space import DeadEnd, SearchSpace
from spikenas.systems import published

SEEDS = st.integers(0, 2**32)


@settings(max_examples=40, deadline=None)
@given(documents())
def test_size_counts_the_distinct_keys(document: Document) -> None:
    expected = len(members(document))

    try:
        size = SearchSpace.from_toml(to_toml(document)).size()
        found, is_exact = int(size), size.is_exact
    except DeadEnd:
        found, is_exact = 0, True

    assert (found, is_exact) == (expected, True)


@settings(max_examples=40, deadline=None)
@given(documents())
def test_a_space_contains_what_the_brute_force_finds_and_can_rebuild_it(document: Document) -> None:
    found = members(document)
    if not found:
        return

    space = SearchSpace.from_toml(to_toml(document))

    for architecture in found.values():
        assert space.contains(architecture)
        assert space.from_choices(space.choices_of(architecture)) == architecture


@settings(max_examples=40, deadline=None)
@given(documents(), SEEDS)
def test_what_is_drawn_is_found_by_the_brute_force(document: Document, seed: int) -> None:
    found = members(document)
    if not found:
        return
    space = SearchSpace.from_toml(to_toml(document))
    rng = random.Random(seed)

    a, b = space.sample(rng), space.sample(rng)

    assert {a.key, b.key, space.cross(a, b, rng).key, space.mutate(a, rng).key} <= set(found)


@settings(max_examples=40, deadline=None)
@given(spaces(), SEEDS)
def test_a_mutation_changes_something_unless_there_is_one_member(
    space: SearchSpace, seed: int
) -> None:
    architecture = space.sample(seed)

    mutant = space.mutate(architecture, seed)

    assert (mutant != architecture) == (space.size() > 1)


@settings(max_examples=40, deadline=None)
@given(spaces(), SEEDS)
def test_every_walk_to_another_end_has_another_key(space: SearchSpace, seed: int) -> None:
    rng = random.Random(seed)
    drawn = [space.sample(rng) for _ in range(8)]

    choices = {tuple(sorted(space.choices_of(a).items())) for a in drawn}

    assert len(choices) == len({a.key for a in drawn})


@settings(max_examples=40, deadline=None)
@given(spaces(), SEEDS)
def test_every_offered_value_can_be_taken(space: SearchSpace, seed: int) -> None:
    rng = random.Random(seed)
    domain = dict(space.domain())

    def choose(name: str, values: tuple[object, ...]) -> object:
        assert values
        assert set(values) <= set(domain[name])
        return rng.choice(values)

    architecture = space.draw(choose)

    assert space.contains(architecture)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_equal_seeds_draw_equal_members(seed: int) -> None:
    space = SearchSpace.load("digits")

    assert space.sample(seed) == space.sample(seed)
    assert space.mutate(space.sample(seed), seed) == space.mutate(space.sample(seed), seed)


def test_a_choice_that_nothing_reads_is_not_asked_for() -> None:
    space = SearchSpace.load("toy")
    architecture = space.sample(0)
    wanted = {**space.choices_of(architecture), "neuron": "if", "stages[0].mixer": "conv"}

    asked = space.choices_of(space.from_choices(wanted))

    assert "tau" not in asked
    assert "stages[0].num_heads" not in asked


def test_a_stranger_is_refused_with_the_gene_that_differs() -> None:
    space = SearchSpace.load("toy")
    stranger = SearchSpace.load("cifar10").sample(0)

    with pytest.raises(ArchitectureError, match=r"num_steps = \d .*it has here: 1, 2|is not in"):
        space.mutate(stranger)


def test_from_choices_names_an_unknown_choice_and_the_nearest() -> None:
    space = SearchSpace.load("toy")

    with pytest.raises(ArchitectureError, match=r"num_step is not a choice.*mean 'num_steps'"):
        space.from_choices({"num_step": 1})


def test_from_choices_names_a_missing_choice() -> None:
    space = SearchSpace.load("toy")

    with pytest.raises(ArchitectureError, match="num_steps is missing; one of 1, 2"):
        space.from_choices({})


def test_from_choices_names_a_value_that_is_not_offered() -> None:
    space = SearchSpace.load("toy")
    choices = space.choices_of(space.sample(0))

    with pytest.raises(ArchitectureError, match="num_steps = 7 is not in this space; it has here"):
        space.from_choices({**choices, "num_steps": 7})


@settings(max_examples=40, deadline=None)
@given(spaces(), SEEDS)
def test_the_nearest_of_a_member_is_itself(space: SearchSpace, seed: int) -> None:
    member = space.sample(seed)

    assert space.nearest(member) == member


@settings(max_examples=40, deadline=None)
@given(spaces(), architectures())
def test_the_nearest_of_a_stranger_is_a_member(space: SearchSpace, stranger: Architecture) -> None:
    nearest = space.nearest(stranger)

    assert space.contains(nearest)
    assert space.nearest(nearest) == nearest


def test_the_nearest_keeps_what_the_space_has_and_takes_the_nearest_number() -> None:
    space = SearchSpace.load("cifar10")

    nearest = space.nearest(published("spikformer-8-768-imagenet"))

    (stage,) = nearest.stages
    assert (nearest.neuron, nearest.residual, nearest.stem) == ("lif", "spike", "sps")
    assert (nearest.num_steps, nearest.tau, nearest.patch_size) == (4, 2.0, 4)
    assert (stage.embed_dim, stage.depth, stage.num_heads) == (512, 6, 8)
    assert (stage.mixer[0], stage.mlp_ratio) == ("ssa", 4.0)


def test_the_nearest_has_as_many_stages_and_the_last_one_speaks_for_more() -> None:
    space = SearchSpace.load("cifar10").with_input(InputSpec(channels=3, height=32, width=32), 10)

    hierarchy = space.nearest(published("qkformer-4-384-cifar10"))

    assert len(hierarchy.stages) == 3
    assert [stage.mixer[0] for stage in hierarchy.stages] == ["qk_token", "qk_token", "ssa"]


def test_a_published_system_that_is_a_member_is_its_own_nearest() -> None:
    space = SearchSpace.load("cifar10")

    for name in ("spikformer-4-384-cifar10", "stmixer-4-384-cifar10"):
        assert space.nearest(published(name)) == published(name)
