"""`Workload`: sums over operations, against figures worked out by hand."""

import json
from dataclasses import replace

import pytest

from spikenas.workload import Kind, Operand, Operation, Signal, Workload, foldable_norms


def _operand(source: str, signal: Signal, rate: float | None) -> Operand:
    return Operand(source=source, shape=(16, 8), signal=signal, spike_rate=rate)


# Two steps of: analog conv (100 MACs) -> 10 neurons -> linear (80 MACs) -> 30 neurons -> mean.
CONV = Operation(
    name="conv",
    kind=Kind.CONV,
    inputs=(_operand("input", Signal.ANALOG, 1.0),),
    output_shape=(8, 4, 4),
    signal=Signal.MEMBRANE,
    macs=100,
    steps=2,
    weights=27,
    attributes={"kernel": 3},
)
FIRST = Operation(
    name="first",
    kind=Kind.NEURON,
    inputs=(_operand("conv", Signal.MEMBRANE, 1.0),),
    output_shape=(10,),
    signal=Signal.SPIKES,
    steps=2,
    neurons=10,
    spike_rate=0.5,
)
LINEAR = Operation(
    name="linear",
    kind=Kind.LINEAR,
    inputs=(_operand("first", Signal.SPIKES, 0.5),),
    output_shape=(30,),
    signal=Signal.MEMBRANE,
    macs=80,
    steps=2,
    weights=80,
)
SECOND = Operation(
    name="second",
    kind=Kind.NEURON,
    inputs=(_operand("linear", Signal.MEMBRANE, 1.0),),
    output_shape=(30,),
    signal=Signal.SPIKES,
    steps=2,
    neurons=30,
    spike_rate=0.1,
)
WORKLOAD = Workload(operations=(CONV, FIRST, LINEAR, SECOND), num_steps=2, parameters=107)


def test_macs_count_every_step() -> None:
    assert WORKLOAD.macs == 2 * 100 + 2 * 80


def test_synops_are_rate_times_steps_times_macs_of_spiking_inputs() -> None:
    assert LINEAR.synops == 0.5 * 2 * 80
    assert WORKLOAD.synops == 0.5 * 2 * 80


def test_the_spike_rate_is_weighted_by_neurons() -> None:
    assert WORKLOAD.spike_rate == pytest.approx((0.5 * 10 + 0.1 * 30) / 40)
    assert WORKLOAD.neurons == 40


def test_an_unmeasured_workload_has_no_rates() -> None:
    operand = replace(LINEAR.inputs[0], spike_rate=None)
    unmeasured = replace(WORKLOAD, operations=(CONV, replace(LINEAR, inputs=(operand,))))

    assert WORKLOAD.is_measured
    assert not unmeasured.is_measured
    assert unmeasured.synops is None
    assert unmeasured.spike_rate is None


def test_synops_grow_with_an_assumed_rate() -> None:
    few, many = WORKLOAD.with_rate(0.1), WORKLOAD.with_rate(0.4)

    assert few.synops == pytest.approx(0.1 * 2 * 80)
    assert many.synops == pytest.approx(0.4 * 2 * 80)
    assert many.spike_rate == pytest.approx(0.4)


def test_an_assumed_rate_leaves_pixels_and_currents_dense() -> None:
    conv, first, *_ = WORKLOAD.with_rate(0.1).operations

    assert conv.inputs[0].spike_rate == 1.0
    assert first.inputs[0].spike_rate == 1.0


def test_json_there_and_back_gives_the_same() -> None:
    text = json.dumps(WORKLOAD.to_dict())

    assert Workload.from_dict(json.loads(text)) == WORKLOAD


def test_records_of_older_versions_still_load() -> None:
    record = json.loads(json.dumps(WORKLOAD.to_dict()))
    del record["assumed_rate"]
    for fields in record["operations"]:
        for later in ("state", "events", "active_share"):
            del fields[later]

    loaded = Workload.from_dict(record)

    assert [operation.state for operation in loaded.operations] == [0, 10, 0, 30]
    assert {operation.active_share for operation in loaded.operations} == {1.0}
    assert loaded.synops == WORKLOAD.synops
    assert loaded.assumed_rate is None


def test_an_assumed_rate_is_known_as_one_and_forgets_what_was_counted() -> None:
    counted = replace(LINEAR, events=60.0, active_share=0.5)
    assumed = replace(WORKLOAD, operations=(CONV, counted)).with_rate(0.25)

    assert (WORKLOAD.assumed_rate, assumed.assumed_rate) == (None, 0.25)
    assert (assumed.operations[1].events, assumed.operations[1].active_share) == (None, 1.0)


def _norm(name: str, source: str) -> Operation:
    return replace(
        LINEAR,
        name=name,
        kind=Kind.BATCH_NORM,
        inputs=(_operand(source, Signal.MEMBRANE, None),),
        macs=0,
        weights=0,
    )


def test_a_norm_is_folded_into_the_weights_that_it_alone_reads() -> None:
    norm, behind_neurons = _norm("norm", "linear"), _norm("other", "first")
    alone = Workload(
        operations=(CONV, FIRST, LINEAR, norm, behind_neurons), num_steps=2, parameters=0
    )
    reads_linear = (_operand("linear", Signal.MEMBRANE, None),)
    second_reader = replace(FIRST, name="second", inputs=reads_linear)
    shared = replace(alone, operations=(*alone.operations, second_reader))

    assert foldable_norms(alone) == {"linear": norm}
    assert foldable_norms(shared) == {}
