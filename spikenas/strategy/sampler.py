"""`Sampler`: what a search asks for candidates; `Proposal` and `Observation`, what they exchange.

Whatever keeps the protocol can be given to `spikenas.search` as ``sampler``. It should keep the
promises of `spikenas.testing.SamplerContract`: proposal n is a function of the seed, of n and of
what was told, so that a resumed search goes on as the undisturbed one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from spikenas.architecture import Architecture
from spikenas.registry import Option


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the sampler wants to know about next.

    Attributes:
        choices: what `SearchSpace.draw` was told to build the architecture.
    """

    number: int
    architecture: Architecture
    choices: Mapping[str, Option]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What became of a proposal.

    Attributes:
        values: by objective; None where there is no result.
        margins: by constraint, at most 0 where it is kept; the same names in every observation.
        is_final: False while it is in flight.
        rungs: what it scored on the way, by the share of the full budget, above 0 and below 1.
        is_paused: whether it waits at the last of its rungs, and may go on.
    """

    number: int
    choices: Mapping[str, Option]
    values: Mapping[str, float] | None = None
    margins: Mapping[str, float] | None = None
    is_final: bool = True
    rungs: Mapping[float, Mapping[str, float]] = field(default_factory=dict)
    is_paused: bool = False


@runtime_checkable
class Sampler(Protocol):
    """Proposes architectures and learns from what became of them."""

    def ask(self, number: int) -> Proposal:
        """Return proposal ``number``; it counts as in flight until it is told."""

    def tell(
        self,
        number: int,
        values: Mapping[str, float] | None,
        margins: Mapping[str, float] | None = None,
    ) -> None:
        """Learn what became of proposal ``number``; ``values`` None means that it has no result."""

    def restore(self, observations: Sequence[Observation]) -> None:
        """Take over what an earlier process asked and was told."""


@runtime_checkable
class RungSampler(Sampler, Protocol):
    """A sampler that learns from partial trainings too, and says which of them should go on."""

    def pause(self, number: int, values: Mapping[str, float], rung: float) -> None:
        """Learn what proposal ``number`` scored at a share of the full budget; it may go on."""

    def next_step(self, number: int) -> Proposal | int:
        """Return proposal ``number``, or the number of a paused one that should rather go on."""
