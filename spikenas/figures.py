"""The figures of a candidate, each declared once, and the objectives among them.

What a worker computes, the columns of the store, the names in ``--where`` and ``--objectives``, the
axes of plots and the columns of tables, CSV and JSON are all derived from `Figures`. To add a
figure, add one declaration here and a migration of the store.
"""

import sys
from dataclasses import dataclass, replace
from typing import Annotated, Generic, Literal, TypeVar, get_type_hints

from spikenas.exceptions import UnknownNameError

Missing = TypeVar("Missing")  # None if a figure may be missing, Never if all are known


@dataclass(frozen=True, slots=True)
class Figure:
    """How a figure is computed, compared, stored and shown.

    Attributes:
        label: for axes.
        unit: as shown; a value in ``%`` is stored as 0..1, and counts have an empty unit.
        source: the attribute of a training's ``measurement``, ``workload`` or ``energy`` that has
            the value; None if no training has it, so that it cannot be an objective.
        heading: in tables; a figure without one is shown, by name, only if it is an objective.
        column: its type in the store.
        is_traced: whether a trace gives the value before any training.
        name: the field of `Figures` that the declaration annotates.
    """

    label: str
    unit: str
    direction: Literal["maximize", "minimize"]
    source: str | None
    heading: str = ""
    column: Literal["double", "integer", "bigint"] = "double"
    is_traced: bool = False
    name: str = ""

    @property
    def axis(self) -> str:
        """The label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def type(self) -> type[float] | type[int]:
        """The type of a value."""
        return float if self.column == "double" else int

    def loss(self, value: float) -> float:
        """Return the value with its sign such that lower is better."""
        return -value if self.direction == "maximize" else value

    def margin(self, value: float, bound: float) -> float:
        """Return by how much a value exceeds a bound; at most 0 if it is within the bound."""
        if self.direction == "maximize":
            return bound - value
        return value / bound - 1 if bound else value

    def complaint(self, value: float | None) -> str | None:
        """Return what is wrong if a value is missing, not finite or out of range, else None."""
        most = 1.0 if self.unit == "%" else sys.float_info.max
        if value is not None and 0 <= value <= most:
            return None
        return f"{self.name} = {value!r}; needed: a number from 0{' to 1' * (most == 1)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures(Generic[Missing]):
    """The results of a candidate, in the order of tables and documents.

    ``energy_uj`` is computed by the energy model of the run with its default settings;
    ``latency_steps`` is the number of time steps until the output. Only members of the front have a
    ``test_accuracy``.
    """

    accuracy: Annotated[
        float | Missing,
        Figure("validation accuracy", "%", "maximize", "measurement.accuracy", "accuracy"),
    ]
    test_accuracy: Annotated[
        float | None, Figure("test accuracy", "%", "maximize", None, "test")
    ] = None
    energy_uj: Annotated[
        float | Missing,
        Figure("energy per inference", "µJ", "minimize", "energy.total_uj", "energy"),
    ]
    spike_rate: Annotated[
        float | Missing,
        Figure("spikes per neuron and step", "%", "minimize", "workload.spike_rate", "spike rate"),
    ]
    synops: Annotated[
        float | Missing,
        Figure("synaptic operations per inference", "", "minimize", "workload.synops"),
    ]
    macs: Annotated[
        int | Missing,
        Figure(
            "MACs per inference", "", "minimize", "workload.macs", column="bigint", is_traced=True
        ),
    ]
    parameters: Annotated[
        int | Missing,
        Figure("parameters", "", "minimize", "workload.parameters", "parameters", "bigint", True),
    ]
    latency_steps: Annotated[
        int | Missing,
        Figure("latency", "time steps", "minimize", "workload.num_steps", "T", "integer", True),
    ]


FIGURES: dict[str, Figure] = {
    name: replace(hint.__metadata__[0], name=name)
    for name, hint in get_type_hints(Figures, include_extras=True).items()
}
OBJECTIVES = {name: figure for name, figure in FIGURES.items() if figure.source is not None}
DEFAULT_OBJECTIVES = ("accuracy", "energy_uj")


def objective(name: str) -> Figure:
    """Return an objective by name, or raise UnknownNameError."""
    if name not in OBJECTIVES:
        raise UnknownNameError("objective", name, OBJECTIVES)
    return OBJECTIVES[name]
