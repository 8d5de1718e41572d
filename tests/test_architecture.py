"""`Architecture`: canonical once built, equal networks equal keys, mistakes told by gene."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from strategies import architectures

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.exceptions import ArchitectureError, UnknownNameError

GOLDEN = json.loads((Path(__file__).parent / "golden/architectures.json").read_text())


def genes(**changes: Any) -> dict[str, Any]:
    stage = {"embed_dim": 16, "depth": 1, "mixer": "ssa", "num_heads": 2}
    return {
        "input": {"channels": 1, "height": 8, "width": 8},
        "num_classes": 10,
        "num_steps": 2,
        "neuron": "lif",
        "residual": "spike",
        "stem": "sps",
        "patch_size": 2,
        "stages": [stage],
        **changes,
    }


def staged(*stages: dict[str, Any], **changes: Any) -> dict[str, Any]:
    first = genes()["stages"][0]
    return genes(stages=[{**first, **stage} for stage in stages], **changes)


def built(**changes: Any) -> Architecture:
    return Architecture.from_dict(genes(**changes))


@settings(max_examples=25, deadline=None)
@given(architectures())
def test_json_there_and_back_gives_the_same(architecture: Architecture) -> None:
    text = json.dumps(architecture.to_dict())

    again = Architecture.from_dict(json.loads(text))

    assert again == architecture
    assert again.key == architecture.key


@settings(max_examples=25, deadline=None)
@given(architectures(), architectures())
def test_keys_are_equal_where_values_are(a: Architecture, b: Architecture) -> None:
    assert (a.key == b.key) == (a == b)


@pytest.mark.parametrize("name", GOLDEN)
def test_keys_and_json_of_published_architectures_stay(name: str) -> None:
    architecture = Architecture.from_dict(GOLDEN[name]["architecture"])

    assert architecture.key == GOLDEN[name]["key"]
    assert architecture.to_dict() == GOLDEN[name]["architecture"]


@pytest.mark.parametrize(
    "dead",
    [
        {"neuron": "if", "tau": 3.0},
        {"neuron": "if", "tau": 1.5},
        {"neuron": "if"},
    ],
)
def test_tau_is_dead_where_the_neuron_does_not_leak(dead: dict[str, Any]) -> None:
    assert built(**dead) == built(neuron="if")
    assert built(**dead).key == built(neuron="if").key


def test_num_heads_is_dead_where_no_mixer_reads_it() -> None:
    with_heads = Architecture.from_dict(staged({"mixer": "conv", "num_heads": 4}))
    without = Architecture.from_dict(staged({"mixer": "conv", "num_heads": None}))

    assert with_heads.key == without.key


def test_the_first_stage_has_no_downsampling() -> None:
    with_one = Architecture.from_dict(staged({"downsampling": "max_pool"}))

    assert with_one.key == built().key


def test_an_option_at_its_default_leaves_the_key() -> None:
    said = Architecture.from_dict(staged({"options": {"scale": 0.125}}))

    assert said.key == built().key


def test_whole_numbers_and_floats_give_one_key() -> None:
    whole = Architecture.from_dict(staged({"mlp_ratio": 2, "options": {"scale": 1}}, tau=2))
    real = Architecture.from_dict(staged({"mlp_ratio": 2.0, "options": {"scale": 1.0}}, tau=2.0))

    assert whole.key == real.key


def test_one_mixer_for_all_blocks_is_the_same_as_one_named_for_each() -> None:
    once = Architecture.from_dict(staged({"depth": 2, "mixer": "ssa"}))
    each = Architecture.from_dict(staged({"depth": 2, "mixer": ["ssa", "ssa"]}))

    assert once == each
    assert once.to_dict()["stages"][0]["mixer"] == "ssa"


def test_blocks_with_different_mixers_keep_them_in_order() -> None:
    mixed = Architecture.from_dict(staged({"depth": 2, "mixer": ["ssa", "conv"]}))

    assert mixed.to_dict()["stages"][0]["mixer"] == ["ssa", "conv"]


def test_each_stage_halves_the_map_rounding_up() -> None:
    stage = {"downsampling": "strided_conv"}
    images = {"channels": 1, "height": 28, "width": 20}

    architecture = Architecture.from_dict(staged({}, stage, stage, input=images, patch_size=4))

    assert architecture.grids() == ((7, 5), (4, 3), (2, 2))


def test_the_id_is_the_start_of_the_key() -> None:
    assert built().key.startswith(built().id)
    assert len(built().id) == 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_steps": 0}, "num_steps = 0; needed: an integer from 1 to 64"),
        ({"num_steps": True}, "num_steps = True; needed"),
        ({"tau": "2"}, "tau = '2'; needed: a number from 1"),
        ({"tau": None}, "tau is missing; neuron 'lif' needs it"),
        ({"residual": "spikes"}, "residual = 'spikes'; did you mean 'spike'?; allowed"),
        ({"patch_size": 3}, "patch_size = 3; allowed: 1, 2, 4, 8, 16"),
        ({"patch_size": True}, "patch_size = True; needed: an integer"),
        ({"patch_size": 2.0}, "patch_size = 2.0; needed: an integer"),
        ({"stem": "spsp"}, "no stem is named 'spsp'; did you mean 'sps'?"),
        ({"neurons": "lif"}, "neurons is no gene; did you mean 'neuron'?"),
        ({"num_classes": 1}, "num_classes = 1; needed: an integer from 2"),
        ({"stages": []}, "stages has 0 entries; between 1 and 4"),
        ({"stages": "ssa"}, "stages must be a list of tables, but is 'ssa'"),
        ({"halting": "act"}, 'halting = \'act\'; needed: {"threshold": 1.0, "ponder_cost": 0.01}'),
        ({"halting": True}, "for ACT, or no such key for none"),
        ({"halting": {"treshold": 1}}, "halting.treshold is no gene; did you mean 'threshold'?"),
        ({"halting": {"threshold": 0}}, "halting.threshold = 0; needed: a number from 1e-06"),
        ({"halting": {"ponder_cost": "x"}}, "halting.ponder_cost = 'x'; needed: a number from 0"),
        ({"input": {"channels": 0, "height": 8, "width": 8}}, "channels = 0; needed"),
        ({"input": {"channels": 1, "height": 8}}, "input lacks 'width'"),
        ({"options": {"scale": 1.0}}, "options.scale is read by none of lif, sps, mean_linear"),
        ({"residual": "membrane"}, "stem = 'sps': its output is spikes"),
    ],
)
def test_a_bad_gene_of_the_network_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        built(**changes)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": 3}, "num_heads = 3 does not divide embed_dim = 16; divisors: 1, 2, 4, 8"),
        ({"num_heads": None}, "stages[0].num_heads is missing; mixer 'ssa' needs it"),
        ({"embed_dim": 20}, "stem = 'sps': embed_dim = 20 must be a multiple of 8"),
        ({"mixer": "sssa"}, "stages[0]: no mixer is named 'sssa'; did you mean 'ssa'?"),
        ({"mixer": ["ssa", "ssa"]}, "stages[0].mixer names 2 blocks, but depth is 1"),
        ({"mixer": "none", "mlp_ratio": 0}, "mixer 'none' with mlp_ratio 0 is an empty block"),
        ({"mlp_ratio": -1}, "stages[0].mlp_ratio = -1; needed: a number from 0 to 64"),
        ({"options": {"scal": 1.0}}, "options.scal is read by none of ssa; did you mean 'scale'?"),
        ({"options": {"scale": "1"}}, "options.scale = '1'; needed: a number"),
        ({"options": {"scale": float("nan")}}, "options.scale = nan; needed: a number"),
        ({"options": {"qkv_bias": 1}}, "options.qkv_bias = 1; needed: true or false"),
    ],
)
def test_a_bad_gene_of_a_stage_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        Architecture.from_dict(staged(changes))

    assert message in str(caught.value)


def test_a_later_stage_must_say_how_it_downsamples() -> None:
    with pytest.raises(
        ArchitectureError, match=r"stages\[1\]\.downsampling is missing; one of def"
    ):
        Architecture.from_dict(staged({}, {}))


def test_sums_of_two_by_two_need_an_even_map() -> None:
    images = {"channels": 1, "height": 14, "width": 14}

    with pytest.raises(ArchitectureError, match=r"stages\[1\]\.downsampling = 'sum_pool': .*7x7"):
        Architecture.from_dict(staged({}, {"downsampling": "sum_pool"}, input=images))


def test_a_map_of_one_token_cannot_be_halved() -> None:
    with pytest.raises(ArchitectureError, match=r"stages\[1\] would halve a map of 1x1"):
        Architecture.from_dict(staged({}, {"downsampling": "max_pool"}, patch_size=8))


def test_an_unknown_component_built_in_python_has_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'conv'"):
        Stage(embed_dim=8, depth=1, mixer=("conf",))


def test_a_monstrous_architecture_is_data_like_any_other() -> None:
    stage = {"embed_dim": 2**20, "depth": 128, "mixer": "conv"}

    architecture = Architecture.from_dict(genes(stages=[stage]))

    assert architecture.grids() == ((4, 4),)
    assert architecture.input == InputSpec(channels=1, height=8, width=8)
