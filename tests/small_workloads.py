"""Workloads small enough for paper and pencil."""

from spikenas.workload import Kind, Operand, Operation, Signal, Workload


def operand(signal, rate=None, source="before"):
    return Operand(source=source, shape=(4, 8), signal=signal, spike_rate=rate)


def operation(kind, *inputs, macs=0, steps=4, name=None, **facts):
    return Operation(
        name=name or kind,
        kind=kind,
        inputs=inputs,
        output_shape=(4, 8),
        signal=Signal.MEMBRANE,
        macs=macs,
        steps=steps,
        **facts,
    )


def workload(*operations):
    return Workload(operations=operations, num_steps=4, parameters=0)


def worked_example(rate=0.25):
    """One of each price, T = 4, small enough for paper."""
    return workload(
        operation(Kind.CONV, operand(Signal.ANALOG, source="input"), macs=1000),
        operation(Kind.BATCH_NORM, operand(Signal.MEMBRANE, 1.0), biases=16),
        operation(Kind.NEURON, operand(Signal.MEMBRANE, 1.0), neurons=32),
        operation(Kind.LINEAR, operand(Signal.SPIKES, rate), macs=2000),
        operation(
            Kind.SPIKE_PRODUCT,
            operand(Signal.COUNTS, rate),
            operand(Signal.SPIKES, 0.9),
            macs=400,
        ),
        operation(Kind.MASK, operand(Signal.SPIKES, rate), operand(Signal.SPIKES, 0.9), macs=32),
        operation(Kind.LINEAR, operand(Signal.COUNTS, 0.5), macs=100, name="on_counts"),
        operation(Kind.MAX_POOL, operand(Signal.SPIKES, rate)),
        operation(Kind.LINEAR, operand(Signal.MEMBRANE, 1.0), macs=10, steps=1, name="head"),
    )
