import json

import pytest

from spikenas.exceptions import UsageError
from spikenas.hardware import ChipProfile, check, check_layers, chip, chips, parse_layers
from spikenas.workload import Kind, Operand, Operation, Signal, Workload

SMALL = """
name = "small"
title = "A chip with limits only"
clock = "time_step"
source = "this test"
"""
LIMIT = """
[limits.{name}]
value = {value}
reason = "it is small"
cure = "choose a smaller embed_dim"
source = "this test"
grade = "inferred"
"""


class Net:
    """Operations one after another; `add` returns the name, to be read by later ones."""

    def __init__(self):
        self.operations = []
        self.signals = {"input": Signal.ANALOG}

    def add(self, kind, *sources, carries=Signal.MEMBRANE, name=None, shape=(8, 4, 4), **facts):
        name = name or f"{kind}{len(self.operations)}"
        self.operations.append(
            Operation(
                name=name,
                kind=kind,
                inputs=tuple(
                    Operand(source=source, shape=shape, signal=self.signals[source])
                    for source in sources
                ),
                output_shape=shape,
                signal=carries,
                **facts,
            )
        )
        self.signals[name] = carries
        return name

    def neuron(self, source, leak=0.0, **facts):
        attributes = {"leak": leak}
        return self.add(
            Kind.NEURON, source, carries=Signal.SPIKES, neurons=128, attributes=attributes, **facts
        )

    def conv_bn(self, source, **facts):
        conv = self.add(Kind.CONV, source, macs=1152 * 16, weights=1152, **facts)
        return self.add(Kind.BATCH_NORM, conv, biases=16)

    def workload(self, num_steps=4, parameters=5000):
        return Workload(
            operations=tuple(self.operations), num_steps=num_steps, parameters=parameters
        )


def membrane_shortcuts(blocks):
    """A stem, then ``blocks`` of neuron, convolution and membrane addition, then a classifier."""
    net = Net()
    stream = net.conv_bn(net.neuron(net.conv_bn("input", name="first")), name="stem")
    for i in range(blocks):
        branch = net.conv_bn(net.neuron(stream), name=f"blocks.{i}.conv")
        stream = net.add(Kind.ADD, stream, branch)
    pooled = net.add(Kind.MEAN, stream)
    net.add(Kind.LINEAR, pooled, macs=80, weights=80, biases=10, name="head")
    return net.workload()


def rules_of(findings):
    return {finding.rule for finding in findings}


def attention():
    net = Net()
    q, k, v = (net.neuron(net.conv_bn("input")) for _ in range(3))
    similarity = net.add(Kind.SPIKE_PRODUCT, q, k, carries=Signal.COUNTS, macs=256, name="qk")
    net.add(Kind.SPIKE_PRODUCT, similarity, v, carries=Signal.COUNTS, macs=256, name="av")
    return net.workload()


def test_attention_is_refused_without_a_clock_and_priced_with_one():
    network = attention()

    clockless, stepped = (check(network, chip(n)) for n in ("async_generic", "sync_generic"))

    assert [found.operation for found in clockless.violations] == ["qk", "av"]
    assert "mixer = 'stm' or 'conv'" in str(clockless.violations[0])
    assert stepped.fits
    assert "512 AND neurons" in str(next(w for w in stepped.warnings if w.rule == "spike_product"))


def test_a_sum_of_spikes_is_refused_only_where_it_feeds_a_mask():
    net = Net()
    spikes = net.neuron(net.conv_bn("input"))
    masking = net.add(Kind.SPIKE_SUM, spikes, carries=Signal.COUNTS, name="masking")
    net.add(Kind.MASK, net.neuron(masking), spikes, carries=Signal.SPIKES, name="mask")
    harmless = net.add(Kind.SPIKE_SUM, spikes, carries=Signal.COUNTS, name="harmless")
    net.add(Kind.LINEAR, harmless, weights=64)

    verdict = check(net.workload(), chip("async_generic"))

    assert [(found.operation, found.rule) for found in verdict.violations] == [
        ("masking", "spike_sum_for_mask"),
        ("mask", "mask"),
    ]


def test_a_max_pool_is_refused_without_a_clock_and_names_the_choices_that_cure():
    net = Net()
    net.add(
        Kind.MAX_POOL, net.neuron(net.conv_bn("input")), carries=Signal.SPIKES, name="stem.pool"
    )
    network = net.workload()

    [violation] = check(network, chip("async_generic")).violations

    assert str(violation) == (
        "chip 'async_generic' refuses max_pool of spikes 8x4x4 at stem.pool: the maximum needs "
        "all spikes of its window at once, and a late spike changes it; use stem = 'conv' or "
        "'conv_side', or downsampling = 'strided_conv' or 'sum_pool'"
    )
    assert check(network, chip("sync_generic")).fits


def test_a_time_step_chip_refuses_products_of_counts_and_maxima_of_membranes():
    net = Net()
    counts = net.add(Kind.ADD, *(net.neuron(net.conv_bn("input")),) * 2, carries=Signal.COUNTS)
    net.add(Kind.SPIKE_PRODUCT, counts, counts, carries=Signal.COUNTS, name="product")
    net.add(Kind.MAX_POOL, net.conv_bn(counts), name="pool")

    verdict = check(net.workload(), chip("sync_generic"))

    assert [(found.operation, found.rule) for found in verdict.violations] == [
        ("product", "product_of_counts"),
        ("pool", "max_over_values"),
    ]


@pytest.mark.parametrize("name", ["async_generic", "sync_generic"])
def test_a_batch_norm_must_stand_directly_behind_weights(name):
    net = Net()
    net.add(Kind.BATCH_NORM, net.neuron(net.conv_bn("input")), biases=16, name="loose")

    verdict = check(net.workload(), chip(name))

    assert [(v.operation, v.rule) for v in verdict.violations] == [("loose", "batch_norm_unfolded")]


def test_leak_bias_pixels_counts_and_membranes_are_priced_not_refused():
    net = Net()
    spikes = net.neuron(net.conv_bn("input", name="first"), leak=0.5, name="lif")
    counts = net.add(Kind.ADD, spikes, spikes, carries=Signal.COUNTS)
    stream = net.conv_bn(counts, name="on_counts")
    branch = net.conv_bn(net.neuron(stream))
    stream = net.add(Kind.ADD, stream, branch, name="shortcut")
    net.add(Kind.LINEAR, stream, weights=80, name="head")

    verdict = check(net.workload(), chip("async_generic"))

    assert verdict.fits
    assert {w.rule: (w.severity, w.operation) for w in verdict.warnings} == {
        "analog_first_layer": ("warning", "first"),
        "leak": ("warning", "lif"),
        "bias": ("warning", "batch_norm1"),
        "membrane_shortcut": ("warning", "shortcut"),
        "weights_on_membrane": ("warning", "head"),
        "counted_input": ("note", "on_counts"),
    }


def test_neurons_without_leak_are_not_warned_of():
    verdict = check(membrane_shortcuts(1), chip("async_generic"))

    assert "leak" not in rules_of(verdict.warnings)


def with_own_dynamics():
    net = Net()
    current = net.conv_bn("input")
    attributes = {"v_threshold": 1.0, "reset": "zero", "neuron": "QuadraticIF"}
    net.add(Kind.NEURON, current, carries=Signal.SPIKES, name="stem.neuron", attributes=attributes)
    return net.workload()


@pytest.mark.parametrize("name", chips())
def test_a_neuron_of_unknown_dynamics_is_refused_or_said_to_be_unjudged(name):
    verdict = check(with_own_dynamics(), chip(name))
    found = [
        each for each in (*verdict.violations, *verdict.warnings) if "QuadraticIF" in str(each)
    ]

    assert found[0].operation == "stem.neuron"
    if name in ("loihi2", "spinnaker2"):
        assert "warns of neuron QuadraticIF" in str(found[0])
        assert "cannot be judged" in found[0].reason
        assert "neuron_dynamics" not in verdict.margins()
    else:
        assert not verdict.fits
        assert "refuses neuron QuadraticIF" in str(found[0])
        assert "choose neuron = 'if'" in found[0].cure
        assert verdict.margins()["neuron_dynamics"] == 1


def test_a_chip_of_one_s_own_may_say_that_it_knows_a_neuron():
    knows = """
[rules.neuron_dynamics]
verdict = "note"
kinds = ["neuron"]
lacks = ["leak"]
reason = "its firmware has the quadratic neuron"
cure = "nothing is needed"
source = "this test"
grade = "vendor"
"""

    refused, noted = (
        check(with_own_dynamics(), ChipProfile.from_toml(text)) for text in (SMALL, SMALL + knows)
    )

    assert [each.rule for each in refused.violations] == ["neuron_dynamics"]
    assert noted.fits
    assert "its firmware" in str(noted.warnings[0])


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_a_branch_is_replicated_for_every_later_neuron_group_and_the_classifier(blocks):
    # branch j of L reaches the groups j+1 .. L and the head; the stem, as branch 0, all of them
    copies = [1 + blocks - j for j in range(blocks + 1)]
    stored, trained = 1152 * sum(copies), 1152 * (blocks + 1)

    verdict = check(membrane_shortcuts(blocks), chip("async_generic"))

    [warning] = [w for w in verdict.warnings if w.rule == "membrane_shortcut"]
    assert warning.have.endswith(
        f"weights of stem replicated {1 + blocks} times, of {blocks + 1} branches "
        f"{stored} instead of {trained}"
    )


def test_every_limit_is_held_against_what_the_workload_needs():
    needs = {
        "max_parameters": ("the network", 5000),
        "max_neurons": ("the network", 256),
        "max_steps": ("the network", 4),
        "max_fan_in": ("first", 144),
        "max_weights_per_operation": ("first", 1152),
        "max_neurons_per_operation": ("neuron2", 128),
    }

    for name, (operation, need) in needs.items():
        enough, short = (
            ChipProfile.from_toml(SMALL + LIMIT.format(name=name, value=value))
            for value in (need, need - 1)
        )
        assert check(membrane_shortcuts(1), enough).fits
        violation = check(membrane_shortcuts(1), short).violations[0]
        assert (violation.operation, violation.rule) == (operation, name)
        assert (violation.limit, violation.need) == (need - 1, need)


def test_layers_cannot_be_held_against_a_chip_that_places_none():
    profile = ChipProfile.from_toml(SMALL)

    with pytest.raises(UsageError, match="no placement for layers; take one of akida1, ") as raised:
        check_layers(parse_layers({"name": "16-8"}), profile)

    assert "async_generic" not in str(raised.value)


def test_a_broken_limit_reads_as_one_sentence():
    profile = ChipProfile.from_toml(SMALL + LIMIT.format(name="max_fan_in", value=100))

    violation = check(membrane_shortcuts(1), profile).violations[0]

    assert str(violation) == (
        "chip 'small' allows 100 fan-in per neuron; first needs 144: "
        "it is small; choose a smaller embed_dim"
    )


def test_margins_are_above_zero_exactly_where_a_rule_is_broken():
    limits = LIMIT.format(name="max_steps", value=8) + LIMIT.format(name="max_fan_in", value=100)
    profile = ChipProfile.from_toml(SMALL + limits)

    margins = check(membrane_shortcuts(1), profile).margins()

    assert margins == pytest.approx({"neuron_dynamics": 0, "max_steps": -0.5, "max_fan_in": 0.44})


def test_the_keys_of_the_margins_depend_on_the_chip_alone():
    verdicts = [check(n, chip("async_generic")) for n in (attention(), membrane_shortcuts(2))]

    margins = [verdict.margins() for verdict in verdicts]

    assert margins[0].keys() == margins[1].keys()
    assert margins[0]["spike_product"] == 2
    assert set(margins[1].values()) == {0.0}


def test_a_verdict_is_plain_json_with_the_violations_in_the_networks_order():
    record = check(attention(), chip("async_generic")).to_dict()

    assert json.loads(json.dumps(record)) == record
    assert [violation["operation"] for violation in record["violations"]] == ["qk", "av"]
    assert {"operation", "rule", "limit", "bound", "need"} <= record["violations"][0].keys()
    assert not record["fits"]


@pytest.mark.oracle
def test_the_clockless_profile_forbids_what_the_published_limits_forbid(shared):
    operations = json.loads((shared / "oracles" / "chip_limits.json").read_text())
    forbidden = {
        name
        for name, limit in operations["async_generic"]["ops"].items()
        if limit["verdict"] == "forbidden"
    }
    rules = {
        "max_pool": "max_pool",
        "spike_x_spike_matmul": "spike_product",
        "spike_hadamard_mask": "mask",
    }
    not_in_the_vocabulary = {"softmax", "layernorm"}
    computed_by_a_host = {"analog_input_first_layer"}  # a warning here

    profile = chip("async_generic")

    assert forbidden == {*rules, *not_in_the_vocabulary, *computed_by_a_host}
    assert all(profile.rules[rule].verdict == "forbidden" for rule in rules.values())
