"""Options and halting as choices of a space: lists, defaults that differ, what is dead."""

import json
import logging

import pytest

from spikenas.architecture import Architecture, Halting
from spikenas.exceptions import ArchitectureError, SpecError
from spikenas.search_space import DeadEnd, SearchSpace

SPACE = """
[input]
channels = 1
height = 8
width = 8
num_classes = 10

[choices]
num_steps = 2
neuron = "lif"
tau = 2
residual = "spike"
stem = "conv"
patch_size = 2

[[stages]]
embed_dim = 16
depth = 2
mixer = "ssa"
num_heads = 2
"""
SCALES = SPACE.replace('mixer = "ssa"', 'mixer = "multi_scale"\nscales = [[1, 3], [1, 3, 5]]')
HALTING = SPACE.replace("patch_size", 'halting = ["none", "act"]\npatch_size') + (
    "[when.halting.act]\nhalting_threshold = [0.5, 1]\nponder_cost = [0, 0.01]\n"
)


def members(text: str) -> list[Architecture]:
    space = SearchSpace.from_toml(text)
    found = {a.key: a for a in map(space.sample, range(200))}
    assert space.size() == len(found)
    assert all(space.contains(a) for a in found.values())
    return list(found.values())


def test_lists_of_kernel_sizes_are_a_choice() -> None:
    found = members(SCALES)

    assert {a.stages[0].options for a in found} == {(), (("scales", (1, 3, 5)),)}


def test_choices_of_lists_go_there_and_back_through_json() -> None:
    space = SearchSpace.from_toml(SCALES)
    for architecture in members(SCALES):
        text = json.dumps(space.choices_of(architecture))

        again = space.from_choices(json.loads(text))

        assert again == architecture
        assert Architecture.from_dict(json.loads(json.dumps(again.to_dict()))) == architecture


def test_a_list_may_be_a_condition() -> None:
    text = SCALES + '[stages.when.scales."[1, 3, 5]"]\nmlp_ratio = [1, 2]\n'

    found = {(a.stages[0].options, a.stages[0].mlp_ratio) for a in members(text)}

    assert found == {
        ((), 4.0),
        ((("scales", (1, 3, 5)),), 1.0),
        ((("scales", (1, 3, 5)),), 2.0),
    }


def test_mutation_and_crossing_know_lists() -> None:
    space = SearchSpace.from_toml(SCALES)
    one, other = members(SCALES)

    assert space.mutate(one, 0) == other
    assert {space.cross(one, other, seed) for seed in range(20)} == {one, other}


def test_threshold_and_ponder_cost_are_choices_where_tokens_halt() -> None:
    found = {a.halting for a in members(HALTING)}

    expected = {Halting(threshold=h, ponder_cost=p) for h in (0.5, 1.0) for p in (0.0, 0.01)}
    assert found == {None, *expected}


def test_the_threshold_by_its_old_name_is_read_with_a_notice_and_keys_stay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    old = HALTING.replace("halting_threshold", "threshold")
    old += '[stages.when.threshold."0.5"]\ndepth = 2\n'

    with caplog.at_level(logging.WARNING):
        found = members(old)

    new = old.replace("threshold", "halting_threshold")
    assert [a.key for a in found] == [a.key for a in members(new)]
    assert {a.to_dict()["halting"]["threshold"] for a in found if a.halting} == {0.5, 1.0}
    assert [record.getMessage() for record in caplog.records] == [
        "space: when.halting.act.threshold is read as halting_threshold, its name since 0.2",
        "space: stages[0].when.threshold is read as halting_threshold, its name since 0.2",
    ]


def test_the_threshold_by_both_names_is_refused() -> None:
    text = HALTING.replace("ponder_cost = [0, 0.01]", "threshold = 1")

    with pytest.raises(SpecError, match=r"act\.threshold is the old name of halting_threshold"):
        SearchSpace.from_toml(text)


def test_threshold_is_dead_where_no_token_halts(caplog: pytest.LogCaptureFixture) -> None:
    text = SPACE.replace("patch_size", "halting_threshold = [0.5, 1.0]\npatch_size")

    with caplog.at_level(logging.WARNING):
        found = members(text)

    assert [a.halting for a in found] == [None]
    assert "choices.halting_threshold is not used: no component here reads it" in caplog.text
    assert found[0] == members(SPACE)[0]


def test_halting_without_more_words_has_its_defaults() -> None:
    text = SPACE.replace("patch_size", 'halting = "act"\npatch_size')

    assert [a.halting for a in members(text)] == [Halting()]


def test_a_single_block_has_nothing_to_halt_between() -> None:
    text = HALTING.replace("depth = 2", "depth = [1, 2]")

    found = {(a.stages[0].depth, a.halting is not None) for a in members(text)}

    assert found == {(1, False), (2, False), (2, True)}


def test_stages_and_mixers_that_cannot_halt_are_left_out() -> None:
    second = '[[stages]]\nembed_dim = 16\ndepth = 2\nmixer = "ssa"\nnum_heads = 2\n'
    second += 'downsampling = "strided_conv"\n'
    mixers = '"conv", "multi_scale", "qk_channel", "spike_driven", "ssa", "stm"'
    text = HALTING.replace('mixer = "ssa"', f"mixer = [{mixers}]") + second
    text = text.replace("patch_size", "num_stages = [1, 2]\npatch_size", 1)

    halting = [a for a in members(text) if a.halting]

    assert {len(a.stages) for a in halting} == {1}
    assert {a.stages[0].mixer[0] for a in halting} == {"qk_channel", "spike_driven", "ssa"}


def test_each_neuron_keeps_its_own_surrogate_where_the_file_is_silent() -> None:
    text = SPACE.replace('neuron = "lif"', 'neuron = ["if", "lif", "plif"]')
    text += '[when.neuron.lif]\nsurrogate = ["atan", "dspike"]\n'

    found = {(a.neuron, a.options) for a in members(text)}

    assert found == {
        ("if", ()),
        ("lif", (("surrogate", "atan"),)),
        ("lif", (("surrogate", "dspike"),)),
        ("plif", ()),
    }


def test_each_mixer_keeps_its_own_threshold_where_the_file_is_silent() -> None:
    text = SPACE.replace('mixer = "ssa"', 'mixer = ["multi_scale", "ssa"]\nmixer_per_block = true')
    text += "[stages.when.mixer.ssa]\nattention_threshold = [0.5, 0.75]\n"

    found = {(a.stages[0].mixer, a.stages[0].options) for a in members(text)}

    half, more = (("attention_threshold", 0.5),), (("attention_threshold", 0.75),)
    assert found == {
        (("multi_scale", "multi_scale"), ()),
        (("multi_scale", "ssa"), half),
        (("multi_scale", "ssa"), more),
        (("ssa", "multi_scale"), half),
        (("ssa", "multi_scale"), more),
        (("ssa", "ssa"), ()),
        (("ssa", "ssa"), more),
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "depth = 2",
            "depth = 2\nscales = [1, 3]",
            "stages[0].scales = 1; needed: a list of integers (as a choice of a space, in a list "
            "of its own: [[1, 3]])",
        ),
        (
            "depth = 2",
            "depth = 2\nscales = [[1, 4]]",
            "stages[0].scales = (1, 4); one or more odd kernel sizes below 64 are needed",
        ),
        ("depth = 2", "depth = 2\nscales = [[]]", "one or more odd kernel sizes below 64"),
        ("depth = 2", "depth = 2\nscales = [[1.5]]", "needed: a list of integers"),
        ("depth = 2", "depth = 2\nscales = [[1, 3], [1, 3]]", "lists [1, 3] twice"),
        ("depth = 2", "depth = 2\nelementwise = 1", "elementwise = 1; needed: true or false"),
        ("depth = 2", "depth = 2\nattention_threshold = 0", "= 0.0; it must be above 0"),
        (
            "patch_size",
            'surrogate = "sigmoit"\npatch_size',
            "choices.surrogate = 'sigmoit'; one of atan, dspike, sigmoid is needed; "
            "did you mean 'sigmoid'?",
        ),
        ("patch_size", 'halting = "akt"\npatch_size', "no halting is named 'akt'; did you mean"),
        ("patch_size", "halting = true\npatch_size", "no halting is named 'True'"),
        (
            "patch_size",
            "halting_threshold = 0\npatch_size",
            "choices.halting_threshold = 0; needed: a number",
        ),
        ("patch_size", "ponder_cost = -1\npatch_size", "choices.ponder_cost = -1; needed: a num"),
        (
            "depth = 2",
            "depth = 2\nhalting_threshold = 1",
            "stages[0].halting_threshold belongs in [choices]",
        ),
        ("depth = 2", 'depth = 2\nhalting = "act"', "stages[0].halting belongs in [choices]"),
    ],
)
def test_a_wrong_value_is_told_with_what_would_do(old: str, new: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        SearchSpace.from_toml(SPACE.replace(old, new, 1))

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'neuron = "lif"\ntau = 2',
            'neuron = "plif"\ntau = 1',
            "neuron = 'plif': it learns 1 / tau from 1 / 1; needs tau > 1, 2 as published",
        ),
        ("depth = 2", "depth = 1", "halting = 'act': a token halts between blocks, but depth = 1"),
        ('"ssa"', '"stm"', "mixer = 'stm': it reads tokens that have halted; with halting take"),
        (
            '"ssa"',
            '"spike_driven"\nevent_pooling = true',
            "event_pooling reads tokens that have halted; take halting = 'none'",
        ),
    ],
)
def test_a_space_without_members_says_which_rule_forbids_them(
    old: str, new: str, message: str
) -> None:
    text = SPACE.replace("patch_size", 'halting = "act"\npatch_size', 1)

    with pytest.raises(DeadEnd) as caught:
        SearchSpace.from_toml(text.replace(old, new, 1))

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": {"scales": [2]}}, "stages[0].options.scales = (2,); one or more odd kernel"),
        ({"options": {"scales": 3}}, "stages[0].options.scales = 3; needed: a list of integers"),
        ({"options": {"scales": [True]}}, "needed: a list of integers"),
    ],
)
def test_an_architecture_refuses_the_same(change: dict[str, object], message: str) -> None:
    genes = members(SCALES)[0].to_dict()
    genes["stages"][0].update(change)

    with pytest.raises(ArchitectureError) as caught:
        Architecture.from_dict(genes)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (SCALES, {"stages": {"options": {"scales": [1, 3], "elementwise": False}}}),
        (SPACE, {"options": {"surrogate": "sigmoid"}}),
        (SPACE, {"halting": None}),
        (SPACE, {"stages": {"options": {"attention_threshold": 0.5, "qkv_bias": True}}}),
        (
            SPACE.replace("patch_size", 'halting = "act"\npatch_size'),
            {"halting": {"threshold": 1, "ponder_cost": 0.01}},
        ),
        (
            SPACE.replace("patch_size", 'halting = "act"\npatch_size'),
            {"halting": {}},
        ),
        (SPACE.replace('"ssa"', '"qk_channel"'), {"stages": {"num_heads": 4}}),
    ],
)
def test_equal_networks_have_equal_keys(text: str, same: dict[str, object]) -> None:
    architecture = next(a for a in members(text) if not a.stages[0].options)
    genes = architecture.to_dict()
    genes["stages"][0].update(same.get("stages", {}))
    genes.update({name: value for name, value in same.items() if name != "stages"})

    again = Architecture.from_dict(genes)

    assert again == architecture
    assert again.key == architecture.key


def test_choices_by_the_old_name_make_the_same_member() -> None:
    space = SearchSpace.from_toml(HALTING)
    halting = next(member for member in members(HALTING) if member.halting)
    choices = space.choices_of(halting)
    old = {name.replace("halting_threshold", "threshold"): v for name, v in choices.items()}

    assert "threshold" in old
    assert space.from_choices(old) == halting
