"""Bad space files: every mistake is told with its place, its value and its cure."""

import sys
from pathlib import Path

import pytest

from spikenas import registry
from spikenas.architecture import InputSpec
from spikenas.exceptions import SpecError, UnknownNameError, UsageError
from spikenas.search_space import DeadEnd, SearchSpace

GOOD = """
[input]
channels = 1
height = 8
width = 8
num_classes = 10

[choices]
num_steps = [1, 2]
neuron = ["lif", "if"]
residual = ["spike", "membrane"]
stem = ["sps", "conv"]
patch_size = 2

[when.neuron.lif]
tau = [1.5, 2.0]

[[stages]]
embed_dim = [16, 32]
depth = 1
mixer = ["ssa", "conv"]

[stages.when.mixer.ssa]
num_heads = [2, 4]
"""


def test_the_good_file_is_good() -> None:
    space = SearchSpace.from_toml(GOOD)

    assert space.size() > 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "[when.neuron.lif]\ntau = [1.5, 2.0]",
            "[when.tau.0.5]\nnum_steps = 1",
            'when.tau.0.5 is read by TOML as nested keys; quote the value: [when.tau."0.5"]',
        ),
        (
            "[stages.when.mixer.ssa]",
            "[stages.when.mlp_ratio.2.5]",
            "stages[0].when.mlp_ratio.2.5 is read by TOML as nested keys; "
            'quote the value: [stages.when.mlp_ratio."2.5"]',
        ),
        ("num_steps", "num_step", "choices.num_step is not a choice; did you mean 'num_steps'?"),
        ("[choices]", "[choice]", "choice is not a key of a space; did you mean 'choices'?"),
        ('"ssa", "conv"', '"sssa"', "stages[0].mixer = 'sssa': no mixer is named 'sssa'; did you"),
        ("[1, 2]", '["one"]', "choices.num_steps = 'one'; needed: an integer from 1 to 64"),
        ("[1, 2]", "true", "choices.num_steps = True; needed: an integer from 1 to 64"),
        ("[1, 2]", "65", "choices.num_steps = 65; needed: an integer from 1 to 64"),
        ("[1, 2]", "{ min = 1 }", "choices.num_steps = {'min': 1}; needed: an integer"),
        ("[1.5, 2.0]", "0.5", "when.neuron.lif.tau = 0.5; needed: a number from 1"),
        ("[1, 2]", "[1, 2, 1]", "choices.num_steps lists 1 twice"),
        ("[1.5, 2.0]", "[2, 2.0]", "when.neuron.lif.tau lists 2.0 twice"),
        ("[1, 2]", "[1, 1]", "choices.num_steps lists 1 twice; leave one out"),
        ("[1, 2]", "[99, 99]", "choices.num_steps lists 99 twice; leave one out"),
        ("[16, 32]", "[16, 16]", "stages[0].embed_dim lists 16 twice; leave one out"),
        ("[1, 2]", "[[1, 1]]", "a list within the list is one value, remove its brackets"),
        ("[1, 2]", "[]", "choices.num_steps is an empty list"),
        ("[1, 2]", "[1, 2", "is not valid TOML: Unclosed array (at line 10"),
        ("num_steps = [1, 2]", "", "choices.num_steps is missing"),
        ("num_heads = [2, 4]", "", "stages[0].num_heads is missing where mixer = 'ssa'"),
        (
            "[when.neuron.lif]",
            "[when.neurone.lif]",
            "neurone is not a choice; did you mean 'neuron'",
        ),
        (
            "[when.neuron.lif]",
            "[when.neuron.lfi]",
            "when.neuron.lfi: neuron is never 'lfi'; did you mean 'lif'?; its values: lif, if",
        ),
        ("[when.neuron.lif]", "[when.neuron]", 'needed: a table; write [when.neuron."VALUE"]'),
        (
            "[when.neuron.lif]",
            '[when.tau."1.5"]\nneuron = "lif"\n[when.neuron.lif]',
            "the when tables of neuron, tau depend on each other",
        ),
        ("[[stages]]", "[stages]", "write one [[stages]] table per stage"),
        ("patch_size", "embed_dim = 8\npatch_size", "choices.embed_dim belongs in a [[stages]]"),
        ("depth = 1", "depth = 1\nnum_steps = 1", "stages[0].num_steps belongs in [choices]"),
        ("depth = 1", "depth = 0", "stages[0].depth = 0; needed: an integer from 1 to 128"),
        ("patch_size", "num_stages = 2\npatch_size", "num_stages goes up to 2, but the file has 1"),
        ("height = 8", "height = 0", "input.height = 0; needed: an integer from 1 to 4096"),
        ("height = 8", 'height = "8"', "input.height = '8'; needed: an integer"),
        ("[input]", "[space]\ndescriptoin = 1\n[input]", "did you mean 'description'?"),
        ("depth = 1", "depth = 1\nscale = true", "stages[0].scale = True; needed: a number"),
        (
            "depth = 1",
            "depth = 1\nscal = 1.0",
            "stages[0].scal is not a choice; did you mean 'scale'",
        ),
    ],
)
def test_a_mistake_is_told_with_place_value_and_cure(old: str, new: str, message: str) -> None:
    text = GOOD.replace(old, new, 1)

    with pytest.raises(SpecError) as caught:
        SearchSpace.from_toml(text, source="my.toml")

    assert str(caught.value).startswith("my.toml: ")
    assert message in str(caught.value)


def test_a_second_stage_must_say_how_it_downsamples() -> None:
    text = GOOD + '[[stages]]\nembed_dim = 16\ndepth = 1\nmixer = "conv"\n'

    with pytest.raises(SpecError, match=r"stages\[1\]\.downsampling is missing"):
        SearchSpace.from_toml(text)


def test_all_mistakes_are_told_at_once() -> None:
    text = GOOD.replace("[1, 2]", '["one", 99]').replace("depth = 1", "depht = 1")

    with pytest.raises(SpecError) as caught:
        SearchSpace.from_toml(text)

    assert "3 mistakes" in str(caught.value)
    assert "did you mean 'depth'" in str(caught.value)


def test_a_space_without_members_names_the_rule_and_the_images() -> None:
    text = GOOD.replace('["spike", "membrane"]', '"membrane"').replace('["sps", "conv"]', '"sps"')

    with pytest.raises(DeadEnd, match=r"images of 1x8x8:\n.*stem = 'sps': its output is spikes"):
        SearchSpace.from_toml(text)


def test_a_space_that_no_other_images_fit_says_so() -> None:
    text = GOOD.replace('["sps", "conv"]', '"conv_side"')
    space = SearchSpace.from_toml(text)

    with pytest.raises(DeadEnd, match="its side path cuts 7x7 into 2x2 patches"):
        space.with_input(InputSpec(channels=1, height=7, width=7), 10)


def test_a_space_without_images_asks_for_them() -> None:
    space = SearchSpace.from_toml(GOOD[GOOD.index("[choices]") :])

    with pytest.raises(UsageError, match="does not say for which images"):
        space.size()
    assert space.with_input(InputSpec(channels=1, height=8, width=8), 10).size() > 1


def test_a_choice_that_nothing_reads_gets_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    text = GOOD.replace("depth = 1", "depth = 1\nattention_threshold = [0.5, 1.0]")
    without = text.replace('"ssa", "conv"', '"conv"').replace("mixer.ssa", "mixer.conv")

    SearchSpace.from_toml(without, source="my.toml")

    assert "my.toml: stages[0].attention_threshold is not used" in caplog.text


def test_several_when_tables_leave_the_values_that_all_list() -> None:
    text = GOOD + '[stages.when.embed_dim."16"]\nnum_heads = [4, 8]\n'
    space = SearchSpace.from_toml(text.replace('"ssa", "conv"', '"ssa"'))

    heads = {(a.stages[0].embed_dim, a.stages[0].num_heads) for a in map(space.sample, range(99))}

    assert heads == {(16, 4), (32, 2), (32, 4)}


def test_an_option_of_a_component_is_a_choice_where_it_is_read() -> None:
    space = SearchSpace.from_toml(GOOD.replace("depth = 1", "depth = 1\nscale = [0.125, 0.25]"))

    drawn = [space.sample(seed).stages[0] for seed in range(99)]

    assert {(stage.mixer[0], stage.options) for stage in drawn} == {
        ("conv", ()),
        ("ssa", ()),
        ("ssa", (("scale", 0.25),)),
    }


def test_plugins_are_refused_unless_allowed(tmp_path: Path) -> None:
    text = '[space]\nplugins = ["a_lab.mixers"]\n' + GOOD

    with pytest.raises(SpecError, match=r"if you trust them, use --allow-plugins"):
        SearchSpace.from_toml(text)
    with pytest.raises(SpecError, match=r"'a_lab.mixers', which cannot be imported"):
        SearchSpace.from_toml(text, allow_plugins=True)


def test_an_allowed_plugin_brings_its_components(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_components", {**registry._components})
    plugin = tmp_path / "a_lab_of_tests.py"
    plugin.write_text(
        "from spikenas.registry import Component, register\n"
        "register(Component(family='mixer', name='lab', target='a:B', source='none',\n"
        "                  options={'reach': 3}))\n"
    )
    text = '[space]\nplugins = ["a_lab_of_tests"]\n' + GOOD
    text = text.replace('"ssa", "conv"', '"lab"').replace("depth = 1", "depth = 1\nreach = [1, 2]")
    text = text[: text.index("[stages.when")]

    space = SearchSpace.from_toml(text, allow_plugins=True)

    assert space.plugins == ("a_lab_of_tests",)
    assert space.sample(0).stages[0].mixer == ("lab",)
    sys.modules.pop("a_lab_of_tests")


def test_an_unknown_space_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'toy'"):
        SearchSpace.load("toi")


def test_a_file_that_is_not_there_is_a_spec_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file"):
        SearchSpace.load(tmp_path / "absent.toml")


def test_a_users_file_is_read_by_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)

    space = SearchSpace.load(file)

    assert (space.name, space.toml) == ("mine", GOOD)
    assert space == SearchSpace.from_toml(GOOD)
