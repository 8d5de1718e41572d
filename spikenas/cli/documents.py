"""Every document that ``--json`` prints, as a dataclass; the reference lists their schemas.

Within one ``schema_version`` no key is renamed or removed; keys may be added.
"""

from dataclasses import dataclass, make_dataclass
from typing import Any, Literal

from spikenas.figures import FIGURES

FindingStatus = Literal["ok", "absent", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The first key of every document."""

    schema_version: Literal[1] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchEnd(Document):
    """``search`` and ``resume``: how many candidates ended in which state."""

    run: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """One run of a store."""

    name: str
    status: str
    created_at: str  # ISO 8601
    seed: int
    objectives: list[str]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs(Document):
    """``runs``: newest first."""

    store: str
    runs: list[RunLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFault:
    """Recorded weights that are damaged, missing or unreadable."""

    candidate: str  # RUN/ID
    path: str
    status: Literal["damaged", "missing", "unreadable"]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Document):
    """``status``: ``counts`` has every state, also those with 0 candidates."""

    run: str
    status: str
    created_at: str
    seed: int
    objectives: list[str]
    generation: int  # of the counted candidates; earlier ones had other data or code
    counts: dict[str, int]
    best_accuracy: float | None  # on the validation split, 0 to 1
    lowest_energy_uj: float | None
    settings: dict[str, Any]
    faults: list[WeightsFault]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify(Document):
    """``verify``: the comparison of all recorded files of weights with their SHA-256."""

    num_files: int
    faults: list[WeightsFault]


Member = make_dataclass(
    "Member",
    [
        *(("id", str), ("key", str), ("architecture", dict[str, Any])),
        *((name, f.type if f.source else f.type | None) for name, f in FIGURES.items()),
        *(("fidelity", int), ("seed", int)),  # fidelity: epochs trained
    ],
)
Member.__doc__ = "One member of a front. The CSV has the same names, ``architecture`` as JSON text."


@dataclass(frozen=True, slots=True, kw_only=True)
class Pareto(Document):
    """``pareto``: best in the first objective first."""

    run: str
    objectives: list[str]
    front: list[Member]  # type: ignore[valid-type]  # made from the table of figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Show(Document):
    """``show``: the genes; with ``--workload`` every operation, otherwise ``workload`` is null."""

    id: str
    key: str
    architecture: dict[str, Any]
    parameters: int
    macs: int
    neurons: int
    workload: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether one chip can run the network."""

    chip: str
    fits: bool
    margins: dict[str, float]  # by rule; at most 0 if it holds, see `Verdict.margins`
    placement: dict[str, Any] | None  # summary, and a record per layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Document):
    """``check``: ``fits`` is about all requested chips; ``id`` is null with --layers.

    ``bound`` of a violation or warning says whether its ``limit`` is the ``most`` that the chip
    allows or the ``least`` that it needs.
    """

    id: str | None
    key: str | None
    fits: bool
    violations: list[dict[str, Any]]  # chip, operation, rule, limit, bound, need, have, cure ...
    warnings: list[dict[str, Any]]
    chips: list[Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy(Document):
    """``energy``: by one model; ``variants_uj`` has every combination of its settings.

    If published figures disagree, ``energy_uj`` is the upper end. If none is public, ``unit`` is
    ``score``, all joules are null, and ``score`` counts chip operations.
    """

    id: str
    key: str
    model: str
    title: str
    unit: Literal["joules", "score"]
    settings: dict[str, str]
    rates: Literal["measured", "assumed"]
    spike_rate: float | None
    energy_uj: float | None
    energy_low_uj: float | None
    static_uj: float  # part of energy_uj, but of no operation
    score: float | None
    synops: float | None
    counts: dict[str, float]  # what the model charges for: synops, macs, updates, spikes
    terms_uj: dict[str, float]  # the energy by purpose
    variants_uj: dict[str, float]
    comparison: list[dict[str, Any]]  # non-spiking networks of equal size
    operations: list[dict[str, Any]]
    assumptions: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceLine:
    """One shipped search space."""

    name: str
    size: int
    size_is_exact: bool
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spaces(Document):
    """``spaces``."""

    spaces: list[SpaceLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipLine:
    """One shipped chip profile."""

    name: str
    clock: Literal["none", "time_step"]
    title: str
    rules: int
    limits: int
    placement: str | None  # how layers are mapped to cores; null for a class of chips


@dataclass(frozen=True, slots=True, kw_only=True)
class Chips(Document):
    """``chips``."""

    chips: list[ChipLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLine:
    """One published configuration, with the figures of its paper or null."""

    name: str
    parameters: int
    macs: int  # counted by a trace, over all steps
    operations: float | None  # synaptic operations per inference
    accuracy: float | None  # on the test set, 0 to 1
    energy_mj: float | None  # by the paper's own formula
    source: str
    architecture: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Document):
    """``published``."""

    architectures: list[PublishedLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check of ``doctor``."""

    name: str
    status: FindingStatus
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor(Document):
    """``doctor``: ``ok`` is false if something that is needed does not work."""

    ok: bool
    findings: list[Finding]
