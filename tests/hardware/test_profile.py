import re
from pathlib import Path

import pytest

from spikenas.exceptions import SpecError, UnknownNameError
from spikenas.hardware import ChipProfile, chip, chips
from spikenas.workload import Kind

MINE = """
name = "mine"
title = "A chip of my own"
clock = "none"
source = "its data sheet"

[rules.max_pool]
verdict = "forbidden"
kinds = ["max_pool"]
reason = "it cannot"
cure = "use downsampling = 'sum_pool'"
source = "data sheet, page 3"
grade = "vendor"

[limits.max_fan_in]
value = 4096
reason = "a neuron has so many synapses"
cure = "choose a smaller mlp_ratio"
source = "data sheet, page 4"
grade = "vendor"
"""


@pytest.mark.parametrize("name", chips())
def test_every_shipped_rule_and_limit_has_reason_cure_source_and_grade(name):
    profile = chip(name)

    evidence = [*profile.rules.values(), *profile.limits.values(), *profile.structure.values()]

    assert profile.name == name
    assert evidence
    assert all(part.reason and part.cure and part.source and part.grade for part in evidence)


def test_the_shipped_chips_are_of_both_classes():
    assert {name for name in chips() if chip(name).clock == "none"} == {"async_generic", "speck2"}
    assert {name for name in chips() if chip(name).clock == "time_step"} == {
        "sync_generic",
        *("akida1", "loihi1", "loihi2", "truenorth", "spinnaker2"),
        *("xylo_audio2", "xylo_audio3", "xylo_imu"),
    }


@pytest.mark.parametrize("name", chips())
def test_no_number_of_a_chip_is_without_a_source(name):
    profile = chip(name)

    facts = [*profile.limits.values(), *profile.structure.values()]

    assert all(fact.source and fact.grade and fact.cure for fact in facts)
    assert bool(profile.placement) == bool(profile.limits)


def test_a_chip_has_the_rules_of_what_it_extends_but_for_its_own():
    generic, speck = chip("async_generic"), chip("speck2")

    assert speck.rules["spike_product"] == generic.rules["spike_product"]
    assert generic.rules["leak"].verdict == "warning"
    assert speck.rules["leak"].verdict == "forbidden"


_HALF_SPECK = """
name = "half_speck"
title = "Speck with half the kernel memory of its first core"
clock = "none"
source = "a thought experiment"
extends = "speck2"

[limits.kernel_memory]
value = [8192, 16384, 16384, 32768, 32768, 65536, 65536, 16384, 16384]
reason = "weights that the core holds"
cure = "choose a smaller embed_dim"
source = "a thought experiment"
grade = "inferred"
"""


def test_a_chip_has_the_placement_and_limits_of_what_it_extends_but_for_its_own():
    speck, half = chip("speck2"), ChipProfile.from_toml(_HALF_SPECK)

    assert half.placement == "speck"
    assert half.structure == speck.structure
    assert half.limit("kernel_memory").values[0] == 8192
    others = [name for name in speck.limits if name != "kernel_memory"]
    assert len(others) > 10
    assert all(half.limit(name) == speck.limit(name) for name in others)


def test_a_chip_of_another_placement_has_the_rules_alone_of_what_it_extends():
    other = _HALF_SPECK.replace('"speck2"', '"speck2"\nplacement = "cores"')

    with pytest.raises(SpecError, match=r"limits\.cores is missing"):
        ChipProfile.from_toml(other)


def test_a_limit_that_nobody_confirms_first_hand_is_soft():
    assert chip("loihi2").limit("cores").is_soft
    assert not chip("loihi1").limit("cores").is_soft
    assert chip("speck2").limit("readout_classes").is_soft


def test_a_users_own_chip_is_read_from_a_path_ending_in_toml(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)

    profile = chip(path)

    assert (profile.name, profile.toml) == ("mine", MINE)
    assert profile.rules["max_pool"].kinds == (Kind.MAX_POOL,)
    assert profile.limits["max_fan_in"].value == 4096
    assert ChipProfile.from_toml(MINE).sha256 == profile.sha256


def test_an_unknown_chip_names_the_nearest_and_all_known():
    with pytest.raises(UnknownNameError, match=r"did you mean 'async_generic'.*\.toml"):
        chip("async_generik")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('source = "data sheet, page 3"\n', "", r"rules\.max_pool\.source is missing"),
        ('source = "data sheet, page 3"', 'source = ""', r"rules\.max_pool\.source = ''"),
        ("value = 4096", "value = -1", r"limits\.max_fan_in\.value = -1; .*greater than 0"),
        ("value = 4096", "value = 0", r"limits\.max_fan_in\.value = 0; .*greater than 0"),
        ("value = 4096", "value = nan", r"limits\.max_fan_in\.value = nan; .*finite"),
        ("value = 4096", "value = inf", r"limits\.max_fan_in\.value = inf; .*finite"),
        ("value = 4096", "value = true", r"limits\.max_fan_in\.value = True; .*number"),
        ("value = 4096", 'value = "many"', r"limits\.max_fan_in\.value = 'many'; .*number"),
        ('["max_pool"]', '["max_pol"]', r"kinds\[0\] = 'max_pol'; did you mean 'max_pool'"),
        ('["max_pool"]', "[]", r"rules\.max_pool\.kinds = \[\]; .*at least 1"),
        ('"forbidden"', '"forbiden"', r"verdict = 'forbiden'; did you mean 'forbidden'"),
        ('grade = "vendor"', 'grade = "vendr"', r"grade = 'vendr'; did you mean 'vendor'"),
        ("limits.max_fan_in", "limits.max_fanin", r"max_fanin is no key; did you mean"),
        ('cure = "use', 'cures = "use', r"rules\.max_pool\.cures is no key; did you mean 'cure'"),
        ('clock = "none"', 'clok = "none"', r"clok is no key; did you mean 'clock'"),
        ('name = "mine"', 'name = "../mine"', r"name = '\.\./mine'"),
        ("rules.max_pool", "rules.max_steps", r"rules\.max_steps bears the name of a limit"),
        ("value = 4096", "value = [1, 2]", r"limits\.max_fan_in\.value is a list; needed: one"),
        ("value = 4096", "value = [1, -2]", r"value\[1\] = -2; .*greater than 0"),
        ("value = 4096", "value = []", r"limits\.max_fan_in\.value = \[\]"),
        ("limits.max_fan_in", "limits.cores", r"limits\.cores is read by placement = 'speck' or"),
        ('clock = "none"', 'clock = "none"\nplacement = "spek"', r"did you mean 'speck'"),
        ('clock = "none"', 'clock = "none"\nplacement = "cores"', r"limits\.cores is missing"),
        ('clock = "none"', 'clock = "none"\nextends = "nobody"', r"extends = 'nobody': no chip is"),
        ('name = "mine"', "name =", "not valid TOML"),
        (
            'kinds = ["max_pool"]',
            'kinds = ["neuron"]\nabove = { leeak = 0.0 }',
            r"rules\.max_pool\.above\.leeak is no key; did you mean 'leak'.*allowed: .*num_heads",
        ),
        (
            'kinds = ["max_pool"]',
            'kinds = ["max_pool"]\nwithin = "haltin."',
            r"rules\.max_pool\.within = 'haltin\.'; no operation is there; did you mean 'halting'",
        ),
        (
            'kinds = ["max_pool"]',
            'kinds = ["max_pool"]\nnot_within = "encoder.0"',
            r"not_within = 'encoder\.0'; .*allowed to begin with: stem, .*halting",
        ),
    ],
)
def test_a_wrong_profile_says_file_key_value_and_what_is_allowed(tmp_path, old, new, complaint):
    path = tmp_path / "mine.toml"
    path.write_text(MINE.replace(old, new))

    with pytest.raises(SpecError, match=rf"mine\.toml: .*{complaint}"):
        chip(path)


@pytest.mark.parametrize(
    ("limit", "old", "new", "complaint"),
    [
        ("kernels", "[1, 3, 5, 7]", "[1, 3, 9]", "has 9; placement = 'akida' knows 1, 3, 5, 7"),
        ("kernels", "[1, 3, 5, 7]", "2.5", "has 2.5; placement = 'akida' knows 1, 3, 5, 7"),
        ("separable_kernels", "[3, 5, 7]", "[1, 3]", "has 1; placement = 'akida' knows 3, 5, 7"),
        ("weight_bits", "[1, 2, 4]", "8", "has 8; placement = 'akida' knows 1, 2, 4"),
        ("separable_weight_bits", "[2, 4]", "[1, 4]", "has 1; placement = 'akida' knows 2, 4"),
        ("activation_bits", "[1, 2, 4]", "[1, 8]", "has 8; placement = 'akida' knows 1, 2, 3, 4"),
        ("input_kernels", "[3, 5, 7]", "[3, 5]", "has a length of 3; needed: 2"),
        ("colour_filters", "[192, 64, 32]", "192", "has a length of 1; needed: 3"),
    ],
)
def test_a_value_that_a_placement_cannot_reckon_with_is_refused(limit, old, new, complaint):
    text = chip("akida1").toml
    wrong = text.replace(f"[limits.{limit}]\nvalue = {old}", f"[limits.{limit}]\nvalue = {new}")
    assert wrong != text

    with pytest.raises(SpecError, match=rf"mine\.toml: limits\.\w+\.value {re.escape(complaint)}"):
        ChipProfile.from_toml(wrong, source="mine.toml")


def test_a_wrong_entry_of_a_list_is_the_only_complaint_about_the_list(tmp_path):
    with pytest.raises(SpecError) as raised:
        ChipProfile.from_toml(MINE.replace('["max_pool"]', '["max_pol"]'))

    assert "at least 1" not in str(raised.value)


def test_a_file_that_is_absent_or_no_text_is_refused(tmp_path):
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")

    for path in (binary, tmp_path / "a\0b.toml"):
        with pytest.raises(SpecError, match="cannot be read"):
            chip(path)
    with pytest.raises(SpecError, match=r"absent\.toml: no such file$"):
        chip(tmp_path / "absent.toml")


def test_the_profile_in_the_how_to_is_valid():
    page = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-chip.md"
    [block] = re.findall(r"```toml\n(.*?)```", page.read_text(), flags=re.DOTALL)

    profile = ChipProfile.from_toml(block)

    assert (profile.name, list(profile.rules)) == (
        "mychip",
        ["neuron_dynamics", "max_pool", "leak"],
    )
