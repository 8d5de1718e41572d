"""The traversal alone: bounds, and sizes too large to enumerate."""

from spikenas.search_space import SearchSpace, SpaceSize
from spikenas.search_space.traversal import Choice, Traversal

STAGE = """
[[stages]]
embed_dim = [16, 32]
depth = [1, 128]
mixer = ["ssa", "conv", "stm", "none"]
num_heads = [2, 4]
mixer_per_block = true
downsampling = "strided_conv"
"""
DEEP = f"""
[input]
channels = 1
height = 64
width = 64
num_classes = 2
[choices]
num_steps = 1
neuron = "if"
residual = "spike"
stem = "sps"
patch_size = 2
{STAGE.replace('downsampling = "strided_conv"', "")}
{STAGE * 3}
"""


def _free(name: str, number: int) -> Choice:
    values = tuple(range(number))
    return Choice(name=name, entry=name, domain=values, reads=frozenset(), values=lambda _: values)


def test_a_count_cut_short_is_a_bound_that_says_so() -> None:
    last = Choice(
        name="c",
        entry="c",
        domain=(0, 1, 2),
        reads=frozenset({"a"}),
        values=lambda state: (0, 1, 2) if state["a"] == 0 else (0,),
    )
    traversal = Traversal([_free("a", 10), _free("b", 10), last])

    exact, bound = traversal.size(), traversal.size(max_states=5, exact=0)

    assert (exact, exact.is_exact, str(exact)) == (120, True, "120")
    assert (bound, bound.is_exact, str(bound)) == (300, False, "at most 300")


def test_choices_that_do_not_touch_multiply_without_being_walked_through() -> None:
    traversal = Traversal([_free(str(i), 10) for i in range(400)])

    assert traversal.size(max_states=10, exact=0) == 10**400
    assert str(traversal.size()) == "1.0e+400"


def test_the_deepest_space_is_counted_and_sampled() -> None:
    space = SearchSpace.from_toml(DEEP)

    architecture = space.sample(3)

    assert space.contains(architecture)
    assert space.size() > 10**300
    assert space.size().is_exact


def test_a_size_is_a_number() -> None:
    size = SpaceSize(12_345)

    assert size + 1 == 12_346
    assert str(size) == "12,345"
