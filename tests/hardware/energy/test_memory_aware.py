from dataclasses import replace

import pytest
from small_workloads import operation, workload

from spikenas.exceptions import UsageError
from spikenas.hardware import energy_model
from spikenas.workload import Kind, Operand, Operation, Signal

T, RATE = 4, 0.1
SPIKES_IN = RATE * 64 * 32 * 32 * T
EVENTS = RATE * T * 9 * 64 * 64 * 32 * 32
OUTPUTS = 64 * 32 * 32


def r(words, bits=32):
    return 13.2 + 1.09e-5 * words * bits


def convolution(*, leak=0.5, signal=Signal.SPIKES, **facts):
    """64 to 64 channels, 3x3, on 32x32, with its batch norm and neurons."""
    shape = (64, 32, 32)
    conv = Operation(
        name="conv",
        kind=Kind.CONV,
        inputs=(Operand(source="before", shape=shape, signal=signal, spike_rate=RATE),),
        output_shape=shape,
        signal=Signal.MEMBRANE,
        macs=9 * 64 * OUTPUTS,
        steps=T,
        weights=9 * 64 * 64,
        attributes={"kernel_size": 3, "stride": 1, "padding": 1},
    )
    norm = Operation(
        name="norm",
        kind=Kind.BATCH_NORM,
        inputs=(Operand(source="conv", shape=shape, signal=Signal.MEMBRANE, spike_rate=1.0),),
        output_shape=shape,
        signal=Signal.MEMBRANE,
        steps=T,
        biases=128,
    )
    neuron = Operation(
        name="neuron",
        kind=Kind.NEURON,
        inputs=(Operand(source="norm", shape=shape, signal=Signal.MEMBRANE, spike_rate=1.0),),
        output_shape=shape,
        signal=Signal.SPIKES,
        steps=T,
        neurons=OUTPUTS,
        state=OUTPUTS,
        attributes={"leak": leak},
        spike_rate=RATE,
    )
    return workload(replace(conv, **facts), norm, neuron)


def without_norm(network):
    conv, _, neuron = network.operations
    return workload(conv, replace(neuron, inputs=(replace(neuron.inputs[0], source="conv"),)))


def test_the_worked_example_costs_a_hundred_times_its_additions():
    network = convolution()

    additions = energy_model("cmos45").estimate(network).total_uj
    estimate = energy_model("memory_aware").estimate(network)

    assert additions == pytest.approx(13.6, abs=0.02)
    assert estimate.total_uj == pytest.approx(1508, abs=0.5)
    terms = estimate.terms_uj
    assert terms["weights"] + terms["membranes"] > 0.99 * estimate.total_uj


def test_every_term_is_that_of_the_equations():
    steps = OUTPUTS * T

    terms = energy_model("memory_aware").estimate(convolution()).terms_uj

    add, multiply, queue = 0.1, 3.1, r(1024)
    spikes_out = RATE * steps
    assert {name: 1e6 * uj for name, uj in terms.items()} == pytest.approx(
        {
            "weights": EVENTS * r(9 * 64 * 64),
            "membranes": 2 * (EVENTS + steps) * r(OUTPUTS),
            "biases": steps * r(64),
            "spikes": (SPIKES_IN + spikes_out) * queue,
            "arithmetic": EVENTS * add + steps * add + spikes_out * add + steps * (multiply + add),
            "addresses": 2 * SPIKES_IN * (multiply + add) + SPIKES_IN * 9 * add,
        }
    )


def test_without_a_clock_only_a_leak_or_a_bias_touches_silent_membranes():
    model = energy_model("memory_aware")
    plain = without_norm(convolution(leak=0.0))

    def updates(network, execution):
        return model.estimate(network, execution=execution).counts["updates"]

    assert updates(plain, "event_driven") == 0
    assert updates(plain, "time_step") == OUTPUTS * T
    assert updates(without_norm(convolution()), "event_driven") == OUTPUTS * T
    assert updates(convolution(leak=0.0), "event_driven") == OUTPUTS * T


def test_events_that_were_counted_replace_those_that_are_expected():
    counted = convolution(events=EVENTS / 2)

    estimate = energy_model("memory_aware").estimate(counted)

    assert estimate.counts["synops"] == EVENTS / 2


def test_an_event_of_a_count_multiplies():
    model = energy_model("memory_aware")

    counts = model.estimate(convolution(signal=Signal.COUNTS))

    assert counts.counts["macs"] == pytest.approx(EVENTS)
    assert counts.terms_uj["arithmetic"] > model.estimate(convolution()).terms_uj["arithmetic"]


def test_halted_tokens_have_no_membranes_to_touch():
    network = convolution()
    halved = replace(
        network, operations=tuple(replace(o, active_share=0.5) for o in network.operations)
    )

    counts = energy_model("memory_aware").estimate(halved).counts

    assert counts["updates"] == OUTPUTS * T / 2


def test_words_of_8_bits_and_small_memories_cost_less():
    model, network = energy_model("memory_aware"), convolution()

    by_setting = model.variants(network)

    assert len(by_setting) == 8
    for execution in ("time_step", "event_driven"):
        for sram in ("by_size", "per_access"):
            wide, narrow = (
                by_setting[f"execution={execution},sram={sram},word_bits={bits}"]
                for bits in (32, 8)
            )
            assert narrow < wide


def test_a_product_of_spikes_costs_each_coincidence_and_needs_a_clock():
    tokens = Operand(source="q", shape=(16, 8), signal=Signal.SPIKES, spike_rate=0.5)
    network = workload(
        replace(
            operation(Kind.SPIKE_PRODUCT, tokens, tokens, macs=2048, name="similarity"),
            output_shape=(2, 16, 16),
        )
    )
    model = energy_model("memory_aware")

    estimate = model.estimate(network)

    pairs = 0.25 * 4 * 2048
    assert estimate.counts["synops"] == pairs
    assert estimate.total_uj * 1e6 == pytest.approx(pairs * (2 * r(128) + 2 * r(512) + 0.1))
    with pytest.raises(UsageError, match=r"'similarity' multiplies.*time_step.*'stm'"):
        model.estimate(network, execution="event_driven")
    assert not any("event_driven" in name for name in model.variants(network))


def test_without_a_rate_it_is_refused_with_the_place():
    network = convolution()
    conv = network.operations[0]
    unknown = replace(conv, inputs=(replace(conv.inputs[0], spike_rate=None),))

    with pytest.raises(UsageError, match="'conv' does not know"):
        energy_model("memory_aware").estimate(workload(unknown))
    with pytest.raises(UsageError, match="'neuron' do not know"):
        energy_model("memory_aware").estimate(
            workload(replace(network.operations[2], spike_rate=None))
        )


def test_every_constant_and_memory_is_said_in_words():
    said = "\n".join(energy_model("memory_aware").estimate(convolution()).assumptions)

    for part in ("0.1 pJ", "3.1 pJ", "13.2 pJ + 1.09e-05 pJ * n * 32", "Lemaire 2022", "grade:"):
        assert part in said
