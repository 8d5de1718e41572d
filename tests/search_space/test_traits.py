from spikenas.search_space import SearchSpace


def test_traits_are_the_open_choices_and_sums_over_stages() -> None:
    space = SearchSpace.load("digits")
    architecture = space.sample(3)

    choices = space.choices_of(architecture)
    traits = space.traits(choices)

    assert "patch_size" not in traits.choices  # the same in every member
    assert traits.choices["num_steps"] == architecture.num_steps
    stage = architecture.stages[0]
    assert traits.counts["embed_dim"] == stage.embed_dim
    assert traits.counts[f"mixer = {stage.mixer[0]}"] == 1
    assert traits.known == {}


def test_traits_of_equal_choices_are_equal() -> None:
    space = SearchSpace.load("digits")
    architecture = space.sample(5)

    once, again = (space.traits(space.choices_of(architecture)) for _ in range(2))

    assert once == again
    assert [*once.counts] == [*again.counts]
