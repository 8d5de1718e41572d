"""Every document that ``--json`` prints, as data; the reference lists their schemas.

A key is never renamed or dropped while ``schema_version`` stays; new keys may join.
"""

from dataclasses import dataclass, make_dataclass
from typing import Any, Literal

from spikenas.figures import FIGURES

FindingStatus = Literal["ok", "absent", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What all documents begin with."""

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
    """Recorded weights that cannot be read as they were written."""

    candidate: str  # RUN/ID
    path: str
    status: Literal["damaged", "missing", "unreadable"]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Document):
    """``status``: ``counts`` has every state, those of no candidate with 0."""

    run: str
    status: str
    created_at: str
    seed: int
    objectives: list[str]
    generation: int  # of the candidates that are counted; an earlier one had other data or code
    counts: dict[str, int]
    best_accuracy: float | None  # on the validation split, 0 to 1
    lowest_energy_uj: float | None
    settings: dict[str, Any]
    faults: list[WeightsFault]  # recorded weights that are damaged or not there


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify(Document):
    """``verify``: every file of weights that the store recorded was read and compared."""

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
    """What one chip says of one network."""

    chip: str
    fits: bool
    margins: dict[str, float]  # by rule; at most 0 where it holds, see `Verdict.margins`
    placement: dict[str, Any] | None  # summary, and a record for each layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Document):
    """``check``: ``fits`` means every chip that was asked for; ``id`` is null with --layers.

    ``bound`` of a violation or warning says whether its ``limit`` is the ``most`` that the chip
    allows or the ``least`` that it asks for.
    """

    id: str | None
    key: str | None
    fits: bool
    violations: list[dict[str, Any]]  # chip, operation, rule, limit, bound, need, have, cure ...
    warnings: list[dict[str, Any]]
    chips: list[Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy(Document):
    """``energy``: by one model; ``variants_uj`` has every setting of its knobs.

    Where published figures disagree, ``energy_uj`` is the upper end. Where none is public, ``unit``
    is ``score``, all joules are null, and ``score`` counts chip operations.
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
    static_uj: float  # in energy_uj, and of no operation
    score: float | None
    synops: float | None
    counts: dict[str, float]  # what was charged for: synops, macs, updates, spikes
    terms_uj: dict[str, float]  # what the energy is for
    variants_uj: dict[str, float]
    comparison: list[dict[str, Any]]  # networks of equal size that do not spike
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
    placement: str | None  # how layers come to lie on cores, null of a class of chips


@dataclass(frozen=True, slots=True, kw_only=True)
class Chips(Document):
    """``chips``."""

    chips: list[ChipLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLine:
    """One published configuration; what its paper reports, or null."""

    name: str
    parameters: int
    macs: int  # as a trace counts them, all steps
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
    """One thing that ``doctor`` looked at."""

    name: str
    status: FindingStatus
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor(Document):
    """``doctor``: ``ok`` is false where something asked for does not work."""

    ok: bool
    findings: list[Finding]
