"""``memory_aware``: arithmetic and every memory access, after Lemaire 2022 (arXiv 2210.13107).

One on-chip SRAM per operation for its weights and one for the membranes that it charges. With
R(n) the price of one access to an SRAM of n words, K kernel elements, N outputs, theta the spikes
of an inference, T steps, and e the events (a spike times a weight; theta_in Cout K for a
convolution of stride 1, theta_in D_out for a linear map):

    weights     e R(weights)
    membranes   2 e R(N) + 2 N T R(N)            read and write, for an event and for a step
    spikes      theta_in R(queue) + theta_out R(queue)
    biases      N T R(Cout)                      of the operation, or of the batch norm after it
    arithmetic  e Eadd + N T Eadd (bias) + theta_out Eadd (reset) + N T (Emul + Eadd) (leak)
    addresses   convolution 2 theta_in (Emul + Eadd) + theta_in K Eadd;  linear e Eadd
    R(n) = 13.2 pJ + 1.09e-5 pJ * n * bits  (``sram = by_size``), or 10 pJ for each 64 bits

An event whose input is a count or a current multiplies: Emul + Eadd. A product of spikes reads two
operands for each coincidence and adds to one output: e (R(left) + R(right) + 2 R(out) + Eadd).
Pixels are dense: MACs (R(weights) + R(image) + Emul + Eadd) + N R(N), once per inference. Lemaire
prices every operation of a non-spiking network this way.

``execution = time_step`` updates every membrane at every step. ``event_driven`` is a chip without
a clock: membranes are updated by events only, unless a leak or a bias needs a slow clock, and the
chip cannot multiply two spike trains. Halted tokens have no membranes to update.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from spikenas.hardware.energy.model import (
    Constant,
    Cost,
    EnergyModel,
    Span,
    events_of,
    is_dense,
    is_on_spikes,
    output_rate_of,
    rate_of,
)
from spikenas.workload import WEIGHTED, Kind, Operation, Workload

_HOROWITZ = "Horowitz 2014 (ISSCC), 45 nm, integers"
_LEMAIRE = "Lemaire 2022: line through Horowitz's SRAMs of 8 KB, 32 KB and 1 MB"
_COINCIDING = (Kind.SPIKE_PRODUCT, Kind.MASK)
_QUEUE_WORDS = 1024  # of the FIFO of spike addresses; Lemaire leaves its depth open
_PJ_PER_BIT, _PJ_PER_ACCESS, _PJ_PER_64_BITS = 1.09e-5, 13.2, 10.0


@dataclass(frozen=True, slots=True)
class _Prices:
    """Picojoules per addition, multiplication and memory access, for words of ``bits``."""

    bits: int
    sram: str
    add: float
    multiply: float

    @property
    def mac(self) -> float:
        return self.multiply + self.add

    def access(self, words: float, bits: int | None = None) -> float:
        width = self.bits if bits is None else bits
        if self.sram == "per_access":
            return _PJ_PER_64_BITS * width / 64
        return _PJ_PER_ACCESS + _PJ_PER_BIT * words * width


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryAware(EnergyModel):
    """Additions and multiplications by width, in picojoules."""

    add: Mapping[str, Constant]
    multiply: Mapping[str, Constant]

    def costs(self, workload: Workload, settings: Mapping[str, str]) -> Sequence[Cost]:
        """Charge for arithmetic and memory."""
        prices = self._prices(settings)
        biased = _biased(workload)
        costs = []
        for operation in workload.operations:
            if operation.kind is Kind.NEURON:
                is_clocked = settings["execution"] == "time_step"
                source = operation.inputs[0].source
                costs.append(_neuron(operation, prices, is_touched=is_clocked or source in biased))
            elif operation.macs == 0:
                costs.append(Cost())
            elif is_dense(operation):
                costs.append(Cost(macs=operation.macs, terms=_dense(operation, prices)))
            elif operation.kind in WEIGHTED:
                costs.append(_weighted(operation, prices, biased))
            else:
                costs.append(_product(operation, prices))
        return costs

    def objection(self, workload: Workload, settings: Mapping[str, str]) -> str | None:
        """A chip without a clock cannot tell whether two spikes coincide."""
        if settings["execution"] == "time_step":
            return None
        for operation in workload.operations:
            if operation.kind in _COINCIDING and len(operation.inputs) > 1:
                return (
                    f"operation {operation.name!r} multiplies two spike trains, which a chip "
                    "without a clock cannot; take execution = time_step, or mixer = 'stm' or 'conv'"
                )
        return None

    def assumptions(self, workload: Workload, settings: Mapping[str, str]) -> tuple[str, ...]:
        """Return constants, memories and what is left out, in words."""
        bits = settings["word_bits"]
        sram = {
            "by_size": f"an access to an SRAM of n words of {bits} bits costs "
            f"{_PJ_PER_ACCESS} pJ + {_PJ_PER_BIT} pJ * n * {bits} ({_LEMAIRE}; grade: vendor)",
            "per_access": f"an access costs {_PJ_PER_64_BITS:g} pJ for 64 bits, whatever the size "
            "(Horowitz 2014, SRAM of 8 KB; grade: paper)",
        }
        execution = {
            "time_step": "every membrane is read and written once a step, and twice an event",
            "event_driven": "no clock: membranes are touched by events, and once a step where a "
            "leak or a bias needs it",
        }
        return (
            str(self.add[bits]),
            str(self.multiply[bits]),
            sram[settings["sram"]],
            execution[settings["execution"]],
            f"spikes pass through queues of {_QUEUE_WORDS} words (grade: inferred)",
            "operations on the image are computed once; batch norm is folded into weights and bias",
            "each operation has its own on-chip SRAM, nothing is reused from registers or fetched "
            "from DRAM; pools and additions are free"
            + ("" if _is_counted(workload) else "; coincidences are expected from rates"),
        )

    def dense_pj(
        self, workload: Workload, settings: Mapping[str, str], *, bits: int | None
    ) -> float:
        """Charge for every multiply-accumulate of one step and the memory that it needs."""
        prices = self._prices(settings)
        dense = (
            _dense(operation, prices, bits=None if is_dense(operation) else bits)
            for operation in workload.operations
            if operation.macs
        )
        return sum(high for terms in dense for _, high in terms.values())

    def _prices(self, settings: Mapping[str, str]) -> _Prices:
        bits = settings["word_bits"]
        return _Prices(
            int(bits), settings["sram"], self.add[bits].value_pj, self.multiply[bits].value_pj
        )


def _weighted(operation: Operation, prices: _Prices, biased: set[str]) -> Cost:
    events, outputs = events_of(operation), prod(operation.output_shape)
    spikes = rate_of(operation) * operation.steps * prod(operation.inputs[0].shape)
    addresses = events * prices.add
    if operation.kind is Kind.CONV:
        axes = int(operation.attributes.get("dimensions", 2))
        kernel = int(operation.attributes.get("kernel_size", 1)) ** axes
        addresses = 2 * spikes * prices.mac + spikes * kernel * prices.add
    adds_only = is_on_spikes(operation)
    arithmetic = events * (prices.add if adds_only else prices.mac)
    terms = {
        "weights": events * prices.access(operation.weights),
        "membranes": 2 * events * prices.access(outputs),
        "spikes": spikes * prices.access(_QUEUE_WORDS),
        "addresses": addresses,
    }
    if operation.name in biased:
        shape = operation.output_shape
        channels = shape[0] if len(shape) == 3 else shape[-1]
        added = outputs * operation.steps * operation.active_share
        terms["biases"] = added * prices.access(channels)
        arithmetic += added * prices.add
    return _of_events(events, {**terms, "arithmetic": arithmetic}, adds_only=adds_only)


def _product(operation: Operation, prices: _Prices) -> Cost:
    """Return the cost of a product, mask or sum of data, paid for each pair of non-zeros."""
    events, adds_only = events_of(operation), is_on_spikes(operation)
    read = sum(prices.access(prod(operand.shape)) for operand in operation.inputs)
    terms = {
        "spikes": events * read,
        "membranes": 2 * events * prices.access(prod(operation.output_shape)),
        "arithmetic": events * (prices.add if adds_only else prices.mac),
    }
    return _of_events(events, terms, adds_only=adds_only)


def _of_events(events: float, terms: Mapping[str, float], *, adds_only: bool) -> Cost:
    """Return the cost of events, which are accumulates or multiply-accumulates."""
    synops, macs = (events, 0.0) if adds_only else (0.0, events)
    return Cost(synops=synops, macs=macs, terms=_exact(terms))


def _neuron(operation: Operation, prices: _Prices, *, is_touched: bool) -> Cost:
    """Return the cost of the updates at every step and of the output spikes."""
    updates = operation.neurons * operation.steps * operation.active_share
    spikes = output_rate_of(operation) * operation.neurons * operation.steps
    # The membrane of other dynamics changes at every step too.
    leaks = "neuron" in operation.attributes or float(operation.attributes.get("leak", 0.0)) > 0
    touched = updates if is_touched or leaks else 0.0
    return Cost(
        updates=touched,
        spikes=spikes,
        terms=_exact(
            {
                "membranes": 2 * touched * prices.access(operation.neurons),
                "spikes": spikes * prices.access(_QUEUE_WORDS),
                "arithmetic": spikes * prices.add + (touched * prices.mac if leaks else 0.0),
            }
        ),
    )


def _dense(operation: Operation, prices: _Prices, *, bits: int | None = None) -> dict[str, Span]:
    """Return the terms of an operation that runs once on every element of its inputs.

    A product with an activation of ``bits`` bits costs at most ``bits`` additions.
    """
    outputs, macs = prod(operation.output_shape), operation.macs
    read = sum(prices.access(prod(operand.shape), bits) for operand in operation.inputs)
    mac = prices.mac if bits is None else min(bits * prices.add, prices.mac)
    return _exact(
        {
            "weights": macs * prices.access(operation.weights) if operation.weights else 0.0,
            "activations": macs * read + outputs * prices.access(outputs, bits),
            "arithmetic": macs * mac,
        }
    )


def _biased(workload: Workload) -> set[str]:
    """Return the operations whose output includes a bias, of their own or of their batch norm."""
    found: set[str] = set()
    for operation in workload.operations:
        sources = {operand.source for operand in operation.inputs}
        if operation.kind is Kind.BATCH_NORM:
            found |= {operation.name, *sources}
        elif operation.kind in WEIGHTED:
            found |= {operation.name} if operation.biases else set()
        elif operation.kind is not Kind.NEURON and sources & found:
            found.add(operation.name)
    return found


def _is_counted(workload: Workload) -> bool:
    return all(operation.events is not None for operation in workload.operations if operation.macs)


def _exact(terms: Mapping[str, float]) -> dict[str, Span]:
    return {term: (value, value) for term, value in terms.items()}


def _integer(name: str, bits: int, value_pj: float) -> Constant:
    return Constant(name=f"{bits}-bit {name}", value_pj=value_pj, source=_HOROWITZ, grade="paper")


MODEL = MemoryAware(
    name="memory_aware",
    title="45 nm arithmetic and on-chip memory",
    knobs={
        "execution": ("time_step", "event_driven"),
        "sram": ("by_size", "per_access"),
        "word_bits": ("32", "8"),
    },
    add={"32": _integer("addition", 32, 0.1), "8": _integer("addition", 8, 0.03)},
    multiply={
        "32": _integer("multiplication", 32, 3.1),
        "8": _integer("multiplication", 8, 0.2),
    },
)
