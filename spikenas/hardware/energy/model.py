"""`EnergyModel`: what all energy models share, and `EnergyEstimate`, what they return.

A model says what each operation costs, term by term, and under which assumptions. Its knobs are the
points on which sources disagree; each has named settings, the default first. A constant on which
sources disagree is a range, and so is every energy computed from it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any, Literal

from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.workload import WEIGHTED, Kind, Operation, Signal, Workload

Unit = Literal["joules", "score"]
Rates = Literal["measured", "assumed"]
Span = tuple[float, float]  # the lower and the upper end

_UJ_PER_PJ = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """An energy in picojoules with its evidence; grades as in `spikenas.hardware.profile`.

    Attributes:
        low_pj: the lower end, where sources disagree.
    """

    name: str
    value_pj: float
    source: str
    grade: str
    low_pj: float | None = None

    def times(self, number: float) -> Span:
        """Return the picojoules of ``number`` events."""
        low = self.value_pj if self.low_pj is None else self.low_pj
        return low * number, self.value_pj * number

    def __str__(self) -> str:
        low = "" if self.low_pj is None else f"{self.low_pj:g} to "
        return f"{self.name} {low}{self.value_pj:g} pJ ({self.source}; grade: {self.grade})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a model charges for one operation of one inference.

    Attributes:
        terms: the cost by purpose, in picojoules, or in events if the unit is a score.
        synops: synaptic operations charged for: accumulates on events.
        macs: multiply-accumulates charged for.
        updates: membranes that were read and written because a step passed.
        spikes: spikes that neurons emitted.
    """

    terms: Mapping[str, Span] = field(default_factory=dict)
    synops: float = 0.0
    macs: float = 0.0
    updates: float = 0.0
    spikes: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEnergy:
    """What one operation costs per inference.

    Attributes:
        energy_uj: None if the model gives no joules; ``low_uj`` is the lower end.
        synops: accumulates charged for.
        macs: multiply-accumulates charged for, on analog or non-binary input.
        share: part of the total, 0 to 1.
        terms_uj: the energy by purpose.
        score: chip operations, if the model gives no joules.
    """

    name: str
    kind: Kind
    energy_uj: float | None
    synops: float
    macs: float
    share: float
    low_uj: float | None = None
    terms_uj: Mapping[str, float] = field(default_factory=dict)
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyEstimate:
    """The energy of one inference, its parts, and the assumptions in words.

    Attributes:
        settings: the setting of each knob of the model.
        total_uj: None if the model gives no joules; the upper end if it gives a range.
        low_uj: the lower end; equal to ``total_uj`` if there is no range.
        static_uj: the energy of static power, which belongs to no operation.
        score: chip operations; only compares networks on the same chip.
        rates: whether spike rates were measured or assumed.
        counts: what was charged for: synops, macs, updates, spikes.
    """

    model: str
    settings: Mapping[str, str]
    total_uj: float | None
    low_uj: float | None
    static_uj: float
    score: float | None
    rates: Rates
    counts: Mapping[str, float]
    operations: tuple[OperationEnergy, ...]
    assumptions: tuple[str, ...]

    @property
    def is_range(self) -> bool:
        """Whether the sources of the constants disagree."""
        return self.total_uj != self.low_uj

    @property
    def terms_uj(self) -> dict[str, float]:
        """The energy by purpose, summed over all operations, the largest first."""
        sums: dict[str, float] = {"static power": self.static_uj} if self.static_uj else {}
        for operation in self.operations:
            for term, energy_uj in operation.terms_uj.items():
                sums[term] = sums.get(term, 0.0) + energy_uj
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyModel(ABC):
    """Prices a workload.

    Attributes:
        unit: ``score`` if a constant is missing, so that no joules can be given.
        knobs: the settings of each knob by its name, the default first.
        toml: the text of the user's own file, kept with a run.
    """

    name: str
    title: str
    unit: Unit = "joules"
    knobs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    toml: str | None = None

    def estimate(self, workload: Workload, **settings: str) -> EnergyEstimate:
        """Return the energy of one inference; knobs that are not given have their defaults.

        Raises UsageError if the workload lacks a rate or cannot run with these settings, and
        UnknownNameError for a setting that a knob does not have.
        """
        chosen = self.chosen(settings)
        objection = self.objection(workload, chosen)
        if objection:
            raise UsageError(objection)
        costs = self.costs(workload, chosen)
        static = self.static_pj(workload, chosen)
        spans = [_total(cost.terms.values()) for cost in costs]
        low, high = _total([*spans, (static, static)])
        in_joules = self.unit == "joules"
        operations = (
            OperationEnergy(
                name=operation.name,
                kind=operation.kind,
                energy_uj=span[1] * _UJ_PER_PJ if in_joules else None,
                low_uj=span[0] * _UJ_PER_PJ if in_joules else None,
                synops=cost.synops,
                macs=cost.macs,
                share=span[1] / high if high else 0.0,
                terms_uj={
                    term: upper * _UJ_PER_PJ for term, (_, upper) in cost.terms.items() if upper
                }
                if in_joules
                else {},
                score=None if in_joules else span[1],
            )
            for operation, cost, span in zip(workload.operations, costs, spans, strict=True)
        )
        return EnergyEstimate(
            model=self.name,
            settings=chosen,
            total_uj=high * _UJ_PER_PJ if in_joules else None,
            low_uj=low * _UJ_PER_PJ if in_joules else None,
            static_uj=static * _UJ_PER_PJ,
            score=None if in_joules else high,
            rates="measured" if workload.assumed_rate is None else "assumed",
            counts={
                name: sum(getattr(cost, name) for cost in costs)
                for name in ("synops", "macs", "updates", "spikes")
            },
            operations=tuple(operations),
            assumptions=self.assumptions(workload, chosen),
        )

    def variants(self, workload: Workload) -> dict[str, float]:
        """Return microjoules for every combination of settings, ``first_layer=once,...``.

        If constants are ranges there is one entry for each ``end``. Settings that cannot run the
        workload are left out. Empty if the model gives no joules or has no alternatives.
        """
        found: dict[str, float] = {}
        if self.unit == "score":
            return found
        for combination in product(*self.knobs.values()):
            settings = dict(zip(self.knobs, combination, strict=True))
            if self.objection(workload, settings):
                continue
            estimate = self.estimate(workload, **settings)
            assert estimate.total_uj is not None
            assert estimate.low_uj is not None
            named = [f"{knob}={setting}" for knob, setting in settings.items()]
            if estimate.is_range:
                found[",".join([*named, "end=low"])] = estimate.low_uj
                found[",".join([*named, "end=high"])] = estimate.total_uj
            elif named:
                found[",".join(named)] = estimate.total_uj
        return found

    def chosen(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the setting of every knob, the default if none is given."""
        for knob, setting in given.items():
            if knob not in self.knobs:
                raise UsageError(
                    f"energy model {self.name!r} has no setting {knob!r}; "
                    f"it has: {', '.join(self.knobs) or 'none'}"
                )
            if setting not in self.knobs[knob]:
                raise UnknownNameError(f"setting of {knob}", setting, self.knobs[knob])
        return {knob: settings[0] for knob, settings in self.knobs.items()} | dict(given)

    @abstractmethod
    def costs(self, workload: Workload, settings: Mapping[str, str]) -> Sequence[Cost]:
        """Return the cost of each operation, in order."""

    @abstractmethod
    def assumptions(self, workload: Workload, settings: Mapping[str, str]) -> tuple[str, ...]:
        """Return every constant and every choice in words."""

    def objection(self, workload: Workload, settings: Mapping[str, str]) -> str | None:
        """Return why this workload cannot run with these settings and what would help, or None."""
        return None

    def static_pj(self, workload: Workload, settings: Mapping[str, str]) -> float:
        """Return the picojoules of one inference that do not depend on activity."""
        return 0.0

    def dense_pj(
        self, workload: Workload, settings: Mapping[str, str], *, bits: int | None
    ) -> float | None:
        """Return the picojoules of a non-spiking network of equal size, run once.

        Its activations have ``bits`` bits, or the width of the weights if ``bits`` is None. The
        result is None if the model has no price for such networks.
        """
        return None


def rate_of(operation: Operation, operand: int = 0) -> float:
    """Return the rate of an input; raises UsageError, naming place and cure, if it is unknown."""
    rate = operation.inputs[operand].spike_rate
    if rate is None:
        cure = (
            "measure the network, or assume a rate with Workload.with_rate"
            if operation.macs or operation.neurons
            else "it has no multiply-accumulates, so none is measured: do not ask for it"
        )
        raise UsageError(
            f"operation {operation.name!r} does not know the spike rate of its input; {cure}"
        )
    return rate


def output_rate_of(operation: Operation) -> float:
    """Return the spike rate of a neuron; raises UsageError if it is unknown."""
    if operation.spike_rate is None:
        raise UsageError(
            f"neurons {operation.name!r} do not know their spike rate; "
            "measure the network, or assume a rate with Workload.with_rate"
        )
    return operation.spike_rate


def events_of(operation: Operation) -> float:
    """Return the multiply-accumulates with two non-zero factors: counted, or else expected.

    The expectation is the product of the rates, as if the spikes of two operands were independent.
    It is 0 without multiply-accumulates, for which no rate is measured.
    """
    if operation.macs == 0:
        return 0.0
    if operation.events is not None:
        return operation.events
    rate = 1.0
    for i in range(len(operation.inputs)):
        rate *= rate_of(operation, i)
    return rate * operation.steps * operation.macs


def is_dense(operation: Operation) -> bool:
    """Whether the operation reads pixels, so that every multiply-accumulate is computed."""
    return operation.kind in WEIGHTED and operation.inputs[0].signal is Signal.ANALOG


def is_on_spikes(operation: Operation) -> bool:
    """Whether one factor of every product is 0 or 1, so that it only adds."""
    return any(operand.signal is Signal.SPIKES for operand in operation.inputs)


def _total(spans: Iterable[Span]) -> Span:
    pairs = list(spans)
    return sum(low for low, _ in pairs), sum(high for _, high in pairs)
