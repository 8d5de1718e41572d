"""What a search can optimise: one entry an objective.

A name is at once the attribute of `Evaluation`, the column in the store and the option's value.
"""

from dataclasses import dataclass
from typing import Literal

from spikenas.exceptions import UnknownNameError


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A figure of an evaluation and whether more of it is better."""

    name: str
    direction: Literal["maximize", "minimize"]

    def loss(self, value: float) -> float:
        """Return the value so that lower is better."""
        return -value if self.direction == "maximize" else value


OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective(name="accuracy", direction="maximize"),
        Objective(name="energy_uj", direction="minimize"),
        Objective(name="spike_rate", direction="minimize"),
        Objective(name="synops", direction="minimize"),
        Objective(name="parameters", direction="minimize"),
        Objective(name="latency_steps", direction="minimize"),
    )
}
DEFAULT_OBJECTIVES = ("accuracy", "energy_uj")


def objective(name: str) -> Objective:
    """Return an objective by name, or raise UnknownNameError."""
    if name not in OBJECTIVES:
        raise UnknownNameError("objective", name, OBJECTIVES)
    return OBJECTIVES[name]
