"""`Evaluation`: the results of one trained candidate; `State`: the state of a candidate."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Never

from spikenas.figures import OBJECTIVES, Figures
from spikenas.workload import Workload


class State(StrEnum):
    """The state of a candidate; all but the first two are final."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    REFUSED = "refused"  # before training: the chip, or a limit
    DIVERGED = "diverged"  # non-finite loss
    FAILED = "failed"  # an exception, with its traceback
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    LOST = "lost"  # its worker died at every attempt

    @property
    def is_final(self) -> bool:
        """Whether the state cannot change any more."""
        return self not in (State.QUEUED, State.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Figures[Never]):
    """The results of one candidate, and how they were obtained.

    Attributes:
        energy_model: the model that computed ``energy_uj``.
        energy_variants_uj: for every setting of the model's knobs, ``first_layer=once,...``.
        fidelity: epochs trained.
        history: one record per epoch: epoch, loss, learning rate, seconds.
    """

    energy_model: str
    energy_variants_uj: Mapping[str, float] = field(default_factory=dict)
    fidelity: int
    seed: int
    train_seconds: float
    wall_seconds: float
    history: tuple[Mapping[str, float], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    workload: Workload

    def complaint(self) -> str | None:
        """Return which figure is missing or out of range, or None."""
        complaints = (f.complaint(getattr(self, name)) for name, f in OBJECTIVES.items())
        return next(filter(None, complaints), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        record = {each.name: getattr(self, each.name) for each in fields(self)}
        record["history"] = [dict(epoch) for epoch in self.history]
        record["energy_variants_uj"] = dict(self.energy_variants_uj)
        record["versions"] = dict(self.versions)
        return {**record, "workload": self.workload.to_dict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Evaluation":
        """Build from the JSON form."""
        return cls(
            **{
                **record,
                "history": tuple(record.get("history", ())),
                "workload": Workload.from_dict(record["workload"]),
            }
        )
