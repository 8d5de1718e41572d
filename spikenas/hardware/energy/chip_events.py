"""`ChipEvents`: the energy of a chip by its published figures for an event, from a TOML file.

    E = E_event * events + E_update * N T + E_spike * spikes * groups + P_static * T * step

Events are counted where they were measured. Where the current of one branch joins a membrane
that several groups of neurons read, the chip holds the branch's weights once for each group, so
its events happen as often; a spike is delivered once to each group of weights that reads it.
A chip may have several readings, one after the other and never mixed: an all-in figure holds the
static power already. Without a reading there are counts and a score, and no joules.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spikenas import shipped
from spikenas.exceptions import SpecError
from spikenas.hardware.energy.model import (
    Constant,
    Cost,
    EnergyModel,
    events_of,
    is_dense,
    output_rate_of,
)
from spikenas.hardware.profile import Count, Grade, Name, Text
from spikenas.hardware.profile_errors import complaints
from spikenas.workload import WEIGHTED, Kind, Operation, Workload

_READERS = (*WEIGHTED, Kind.SPIKE_PRODUCT, Kind.SPIKE_SUM, Kind.MASK)
_UJ = 1e6  # in picojoules


class Price(BaseModel):
    """Picojoules of something, with the evidence.

    Attributes:
        low_pj: the lower end, where sources disagree.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pj: Count
    low_pj: Count | None = None
    source: Text
    grade: Grade

    @model_validator(mode="after")
    def _ends_in_order(self) -> Self:
        if self.low_pj is not None and self.low_pj >= self.pj:
            raise ValueError(f"low_pj = {self.low_pj:.15g} must be below pj = {self.pj:.15g}")
        return self


class StaticPower(BaseModel):
    """Power that flows for the whole inference, of one chip.

    Attributes:
        mw: milliwatts.
        step_ms: how long one time step takes, in milliseconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mw: Count
    step_ms: Count
    source: Text
    grade: Grade

    def __str__(self) -> str:
        return (
            f"static power {self.mw:g} mW of one chip for steps of {self.step_ms:g} ms "
            f"({self.source}; grade: {self.grade})"
        )


class Reading(BaseModel):
    """One complete set of figures.

    Attributes:
        all_in: ``synaptic_event`` is total power over events, so nothing else may be added.
        synaptic_event: one spike that meets one weight.
        neuron_update: one membrane at one step.
        spike_delivery: one spike to one group of weights that reads it.
        static_power: what flows though nothing happens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
                raise ValueError(f"an all-in figure holds {term} already; take one of them away")
        return self

    def constant(
        self, term: Literal["synaptic_event", "neuron_update", "spike_delivery"]
    ) -> Constant | None:
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


class ChipFigures(BaseModel):
    """What a file says of a chip.

    Attributes:
        updates: when a membrane is touched: at every step, or by events alone.
        notes: what else a reader of an estimate must know.
        readings: sets of figures by name, the default first, never mixed; none where nothing is
            public, which gives a score instead of joules.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    title: Text
    updates: Literal["every_step", "with_events"]
    notes: tuple[Text, ...] = ()
    readings: Mapping[Name, Reading] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipEvents(EnergyModel):
    """Readings by name; with none of them, an event and an update count 1 each."""

    readings: Mapping[str, Reading]
    updates_every_step: bool
    notes: tuple[str, ...]

    @classmethod
    def from_toml(cls, text: str, *, source: str) -> "ChipEvents":
        """Read a chip; ``source`` names the text in errors. Raises SpecError."""
        try:
            file = ChipFigures.model_validate(shipped.parse_toml(text))
        except SpecError as error:
            raise SpecError(f"{source}: {error}") from None
        except ValidationError as error:
            raise SpecError(f"{source}: {complaints(error, ChipFigures)}") from None
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
        """Charge for the time that the steps take."""
        reading = self._reading(settings)
        if reading is None or reading.static_power is None:
            return 0.0
        power = reading.static_power
        return power.mw * power.step_ms * workload.num_steps * _UJ  # mW ms = uJ

    def assumptions(self, workload: Workload, settings: Mapping[str, str]) -> tuple[str, ...]:
        """Say every figure, where it comes from and what is left out."""
        reading = self._reading(settings)
        said: list[str]
        if reading is None:
            said = [
                "no public figure for the energy of an event: counts and a score, no joules; the "
                "score counts chip operations and compares networks on this chip alone"
            ]
        else:
            prices = (
                reading.constant("synaptic_event"),
                reading.constant("neuron_update"),
                reading.constant("spike_delivery"),
                reading.static_power,
            )
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
            updates = operation.neurons * operation.steps * operation.active_share
            if not self.updates_every_step:
                updates = 0.0
            return Cost(
                updates=updates,
                spikes=spikes,
                terms=_terms(
                    ("neuron updates", reading, "neuron_update", updates),
                    ("spikes", reading, "spike_delivery", spikes * groups),
                ),
            )
        if operation.macs == 0:
            return Cost()
        events = (
            float(operation.macs * operation.steps) if is_dense(operation) else events_of(operation)
        ) * max(groups, 1)
        return Cost(synops=events, terms=_terms(("events", reading, "synaptic_event", events)))


def _terms(
    *rows: tuple[
        str,
        Reading | None,
        Literal["synaptic_event", "neuron_update", "spike_delivery"],
        float,
    ],
) -> dict[str, tuple[float, float]]:
    """Return the terms that have a price; without a reading all but deliveries count 1 each."""
    terms = {}
    for term, reading, price, number in rows:
        if reading is None:
            if price != "spike_delivery":
                terms[term] = (number, number)
            continue
        constant = reading.constant(price)
        if constant is not None:
            terms[term] = constant.times(number)
    return terms


def _groups(workload: Workload) -> dict[str, int]:
    """Return how many places each output reaches without passing through weights or neurons.

    Of a neuron these are the operations that read its spikes; of anything else the groups of
    neurons, or the weights, that its current reaches.
    """
    readers: dict[str, list[Operation]] = defaultdict(list)
    for operation in workload.operations:
        for source in {operand.source for operand in operation.inputs}:
            readers[source].append(operation)
    reached: dict[str, set[str]] = {}
    for operation in reversed(workload.operations):
        ends = (*_READERS, Kind.NEURON)
        reached[operation.name] = _union(
            {reader.name} if reader.kind in ends else reached[reader.name]
            for reader in readers[operation.name]
        )
    return {name: len(places) for name, places in reached.items()}


def _union(sets: Iterable[set[str]]) -> set[str]:
    return set().union(*sets)
