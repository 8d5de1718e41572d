import pytest

from spikenas.hardware import check_layers, chip, parse_layers

LIF = {"op": "lif"}


def verdict(record, name="xylo_audio2"):
    return check_layers(parse_layers(record), chip(name))


def rules(found):
    return {violation.rule for violation in found.violations}


@pytest.mark.parametrize(
    ("name", "chain", "rule"),
    [
        ("xylo_audio2", "16-1000-8", None),
        ("xylo_audio2", "16-1001-8", "hidden_neurons"),
        ("xylo_audio2", "16-500-501-8", "hidden_neurons"),
        ("xylo_audio2", "16-100-9", "output_neurons"),
        ("xylo_audio2", "16-8", "neuron_layers"),
        ("xylo_audio3", "16-992-32", None),
        ("xylo_audio3", "16-993-32", "hidden_neurons"),
        ("xylo_audio3", "16-100-33", "output_neurons"),
        ("xylo_imu", "16-496-16", None),
        ("xylo_imu", "16-497-16", "hidden_neurons"),
        ("xylo_imu", "16-100-17", "output_neurons"),
    ],
)
def test_each_chip_has_its_own_numbers_of_neurons(name, chain, rule):
    assert rules(verdict({"name": chain}, name)) == ({rule} if rule else set())


def test_too_little_reads_as_what_is_asked_for_and_what_there_is():
    [violation] = verdict({"name": "16-8"}).violations

    assert str(violation).startswith(
        "chip 'xylo_audio2' asks for at least 2 layers of neurons; the network has 1: "
    )
    assert (violation.bound, violation.to_dict()["bound"]) == ("least", "least")
    assert (violation.limit, violation.need) == (2, 1)


def test_more_inputs_and_targets_only_warn_as_the_mapper_does():
    found = verdict({"name": "17-100-100-8"})

    assert found.fits
    assert {warning.rule for warning in found.warnings} == {"inputs", "fan_out"}


def test_weights_and_neurons_take_turns():
    linear = {"op": "linear", "out": 8}

    assert "neurons_alternate" in rules(verdict({"input": [16], "layers": [linear, LIF, LIF]}))
    assert "neurons_alternate" in rules(verdict({"input": [16], "layers": [linear, linear, LIF]}))
    assert "ends_in_neurons" in rules(verdict({"input": [16], "layers": [linear, LIF, linear]}))


def test_the_placement_counts_hidden_and_output_neurons():
    found = verdict({"name": "16-60-40-8"})

    assert found.placement.summary == "100 of 1000 hidden, 8 of 8 output neurons"
    assert [layer["is_output"] for layer in found.placement.layers] == [False, False, True]
