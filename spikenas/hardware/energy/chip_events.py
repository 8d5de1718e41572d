"""`ChipEvents`: the energy of a chip from published figures per event, read from a TOML file.

    E = E_event * events + E_update * N T + E_spike * spikes * groups + P_static * T * step

Events are counted where they were measured. If the current of a branch joins a membrane that
several groups of neurons read, the chip stores the branch's weights once for each group, so its
events are multiplied by the number of groups. A spike is delivered once to each group of weights
that reads it. A chip may have several readings, alternatives that are never mixed: an all-in
figure already includes static power. Without a reading there are counts and a score, no joules.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from spikenas.hardware.energy.model import (
    Constant,
    Cost,
    EnergyModel,
    Span,
    events_of,
    is_dense,
    output_rate_of,
)
from spikenas.hardware.profile import Count, Grade, Name, Table, Text
from spikenas.workload import WEIGHTED, Kind, Operation, Workload

_READERS = (*WEIGHTED, Kind.SPIKE_PRODUCT, Kind.SPIKE_SUM, Kind.MASK)
_UJ = 1e6  # in picojoules
_Term = Literal["synaptic_event", "neuron_update", "spike_delivery"]
_NAMES: Mapping[_Term, str] = {
    "synaptic_event": "events",
    "neuron_update": "neuron updates",
    "spike_delivery": "spikes",
}


class Price(Table):
    """Picojoules per event, with the evidence.

    Attributes:
        low_pj: the lower end, where sources disagree.
    """

    pj: Count
    low_pj: Count | None = None
    source: Text
    grade: Grade

    @model_validator(mode="after")
    def _ends_in_order(self) -> Self:
        if self.low_pj is not None and self.low_pj >= self.pj:
            raise ValueError(f"low_pj = {self.low_pj:.15g} must be below pj = {self.pj:.15g}")
        return self


class StaticPower(Table):
    """The power of one chip that is drawn during the whole inference.

    Attributes:
        mw: milliwatts.
        step_ms: the duration of one time step in milliseconds.
    """

    mw: Count
    step_ms: Count
    source: Text
    grade: Grade

    def __str__(self) -> str:
        return (
            f"static power {self.mw:g} mW of one chip for steps of {self.step_ms:g} ms "
            f"({self.source}; grade: {self.grade})"
        )


class Reading(Table):
    """One complete set of figures.

    Attributes:
        all_in: ``synaptic_event`` is total power over events, so nothing else may be added.
        synaptic_event: one spike times one weight.
        neuron_update: one membrane at one step.
        spike_delivery: one spike to one group of weights that reads it.
        static_power: what is drawn even without events.
    """

    title: Text
    all_in: Annotated[bool, Field(strict=True)] = False
    synaptic_event: Price
    neuron_update: Price | None = None
    spike_delivery: Price | None = None
    static_power: StaticPower | None = None

    @model_validator(mode="after")
    def _never_mixed(self) -> Self:
        for term in ("neuron_update", "spike_delivery", "static_power"):
            if self.all_in and getattr(self, term) is not None:
                raise ValueError(f"an all-in figure holds {term} already; remove one of them")
        return self

    def constant(self, term: _Term) -> Constant | None:
        """Return one of the prices."""
        price: Price | None = getattr(self, term)
        if price is None:
            return None
        return Constant(
            name=term.replace("_", " "),
            value_pj=price.pj,
            low_pj=price.low_pj,
            source=price.source,
            grade=price.grade,
        )


class ChipFigures(Table):
    """The figures of a chip, as its file states them.

    Attributes:
        updates: when a membrane is updated: at every step, or by events only.
        notes: what else a reader of an estimate must know.
        readings: sets of figures by name, the default first, never mixed. Without any, because
            nothing is public, the model gives a score instead of joules.
    """

    name: Name
    title: Text
    updates: Literal["every_step", "with_events"]
    notes: tuple[Text, ...] = ()
    readings: Mapping[Name, Reading] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipEvents(EnergyModel):
    """The readings by name; without any, an event and an update count 1 each."""

    readings: Mapping[str, Reading]
    updates_every_step: bool
    notes: tuple[str, ...]

    @classmethod
    def from_toml(cls, text: str, *, source: str) -> "ChipEvents":
        """Read a chip; ``source`` names the text in errors. Raises SpecError."""
        file = ChipFigures.from_text(text, source)
        names = tuple(file.readings)
        return cls(
            name=file.name,
            title=file.title,
            unit="joules" if names else "score",
            knobs={"reading": names} if len(names) > 1 else {},
            readings=file.readings,
            updates_every_step=file.updates == "every_step",
            notes=file.notes,
        )

    def costs(self, workload: Workload, settings: Mapping[str, str]) -> Sequence[Cost]:
        """Charge for events, updates and deliveries."""
        reading = self._reading(settings)
        groups = _groups(workload)
        return [self._cost(o, reading, groups[o.name]) for o in workload.operations]

    def static_pj(self, workload: Workload, settings: Mapping[str, str]) -> float:
        """Charge static power for the duration of all steps."""
        reading = self._reading(settings)
        if reading is None or reading.static_power is None:
            return 0.0
        power = reading.static_power
        return power.mw * power.step_ms * workload.num_steps * _UJ  # mW ms = uJ

    def assumptions(self, workload: Workload, settings: Mapping[str, str]) -> tuple[str, ...]:
        """Return every figure with its source, and what is left out, in words."""
        reading = self._reading(settings)
        said = [
            "no public figure for the energy of an event: counts and a score, no joules; the "
            "score counts chip operations and compares networks on this chip alone"
        ]
        if reading is not None:
            prices = (*(reading.constant(term) for term in _NAMES), reading.static_power)
            said = [reading.title, *(str(price) for price in prices if price is not None)]
        return (
            *said,
            "pixels are charged as an event for each multiply-accumulate and step",
            "events of a branch are charged for each group of neurons that its current reaches",
            *self.notes,
        )

    def _reading(self, settings: Mapping[str, str]) -> Reading | None:
        name = settings.get("reading", next(iter(self.readings), None))
        return None if name is None else self.readings[name]

    def _cost(self, operation: Operation, reading: Reading | None, groups: int) -> Cost:
        if operation.kind is Kind.NEURON:
            spikes = output_rate_of(operation) * operation.neurons * operation.steps
            updates = 0.0
            if self.updates_every_step:
                updates = operation.neurons * operation.steps * operation.active_share
            counts: Mapping[_Term, float] = {
                "neuron_update": updates,
                "spike_delivery": spikes * groups,
            }
            return Cost(updates=updates, spikes=spikes, terms=_terms(reading, counts))
        if operation.macs == 0:
            return Cost()
        events = (
            float(operation.macs * operation.steps) if is_dense(operation) else events_of(operation)
        ) * max(groups, 1)
        return Cost(synops=events, terms=_terms(reading, {"synaptic_event": events}))


def _terms(reading: Reading | None, counts: Mapping[_Term, float]) -> dict[str, Span]:
    """Return the terms that have a price; without a reading all but deliveries count 1 each."""
    if reading is None:
        return {_NAMES[term]: (n, n) for term, n in counts.items() if term != "spike_delivery"}
    constants = {term: reading.constant(term) for term in counts}
    return {_NAMES[term]: each.times(counts[term]) for term, each in constants.items() if each}


def _groups(workload: Workload) -> dict[str, int]:
    """Return how many places each output reaches without passing through weights or neurons.

    For a neuron these are the operations that read its spikes; for anything else the groups of
    neurons, or the weights, that its current reaches.
    """
    readers: dict[str, list[Operation]] = defaultdict(list)
    for operation in workload.operations:
        for source in {operand.source for operand in operation.inputs}:
            readers[source].append(operation)
    reached: dict[str, set[str]] = {}
    for operation in reversed(workload.operations):
        reached[operation.name] = set().union(
            *(
                {reader.name} if reader.kind in (*_READERS, Kind.NEURON) else reached[reader.name]
                for reader in readers[operation.name]
            )
        )
    return {name: len(places) for name, places in reached.items()}
