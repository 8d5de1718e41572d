import pytest

from spikenas.hardware import ChipProfile, check_layers, chip, parse_layers

SMALL = """
name = "small"
title = "Cores of 64 neurons and 100 axons"
clock = "time_step"
placement = "cores"
source = "this test"
"""
LIMIT = """
[limits.{name}]
value = {value}
reason = "it is small"
cure = "choose a smaller embed_dim"
source = "this test"
grade = "{grade}"
"""


def small(grade="vendor", **limits):
    numbers = {"cores": 10, "neurons_per_core": 64, "axons_per_core": 100, **limits}
    parts = (LIMIT.format(name=name, value=value, grade=grade) for name, value in numbers.items())
    return ChipProfile.from_toml(SMALL + "".join(parts))


def verdict(*layers, size=(4, 8, 8), on=None):
    return check_layers(parse_layers({"input": [*size], "layers": [*layers]}), on or small())


CONV = ({"op": "conv", "out": 8, "k": 3, "p": 1}, {"op": "iaf"})


def test_a_core_holds_a_patch_as_large_as_its_axons_and_neurons_allow():
    # 3x3 of 4 channels: a patch of 2x2 reads 4x4x4 = 64 axons, one of 3x3 reads 100; with
    # 64 neurons 2x2 holds 8 channels (16 cores for 8x8), 3x3 holds 7 (9 patches, twice)
    found = verdict(*CONV)

    assert [layer["cores"] for layer in found.placement.layers] == [16]
    assert [violation.rule for violation in found.violations] == ["cores"]
    assert found.margins()["cores"] == pytest.approx(0.6)


def test_a_neuron_that_reads_more_than_a_core_has_is_refused():
    found = verdict({"op": "flatten"}, {"op": "linear", "out": 4}, {"op": "iaf"}, size=(101, 1, 1))

    assert [violation.rule for violation in found.violations] == ["axons_per_core"]
    assert found.violations[0].need == 101


def test_weights_of_a_core_bound_its_channels():
    # 36 weights a channel of 8 bits: 600 bits hold two channels of 8, for all positions
    large = {"neurons_per_core": 1024, "axons_per_core": 10_000}

    bound = verdict(*CONV, on=small(synapse_bits_per_core=600, **large))
    free = verdict(*CONV, on=small(**large))

    assert [layer["cores"] for layer in bound.placement.layers] == [4]
    assert [layer["cores"] for layer in free.placement.layers] == [1]


def test_a_soft_limit_warns_and_has_no_positive_margin():
    found = verdict(*CONV, on=small(grade="secondary"))

    assert found.fits
    [warning] = found.warnings
    assert (warning.rule, warning.severity, warning.limit, warning.need) == (
        "cores",
        "warning",
        10,
        16,
    )
    assert "secondary source" in warning.have
    assert found.margins()["cores"] == 0


def test_true_north_reads_256_axons_and_loihi_pixels():
    wide = ({"op": "conv", "out": 32, "k": 3, "p": 1}, {"op": "iaf"})

    assert verdict(*wide, size=(28, 8, 8), on=chip("truenorth")).fits
    [violation] = verdict(*wide, size=(29, 8, 8), on=chip("truenorth")).violations
    assert (violation.rule, violation.need) == ("axons_per_core", 9 * 29)
    assert verdict(*wide, size=(29, 8, 8), on=chip("loihi1")).fits
