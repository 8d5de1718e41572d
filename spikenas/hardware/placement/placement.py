"""What every placement says: where layers come to lie, what breaks, how far from breaking.

A placement is a function from layers and a profile to `Placement`. It names its findings by the
profile's limits and facts of structure, which carry reason, cure and source.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from spikenas.hardware.layers import Layer
from spikenas.hardware.profile import ChipProfile

Bound = Literal["most", "least"]
THE_NETWORK = "the network"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One layer that one limit or fact of structure does not allow.

    Attributes:
        rule: the limit's or fact's name in the profile.
        limit: the most that is allowed, or the least that is asked for; 0 of a fact of structure.
        need: how much there is.
        have: what was found, in words.
        bound: which of the two ``limit`` is.
    """

    rule: str
    operation: str
    limit: float
    need: float
    have: str
    bound: Bound = "most"


@dataclass(slots=True, kw_only=True)
class Findings:
    """Breaches and margins as they are found; `margins` keeps the worst of each limit."""

    chip: ChipProfile
    breaches: list[Breach] = field(default_factory=list)
    margins: dict[str, float] = field(default_factory=dict)

    def at_most(
        self, name: str, layer: Layer | str, need: float, have: str, *, limit: float | None = None
    ) -> None:
        """Hold a need against a limit, by default the greatest value of it."""
        limit = self.chip.limit(name).most if limit is None else limit
        self._keep(name, need / limit - 1)
        if need > limit:
            self._break(name, layer, limit, need, have)

    def at_least(self, name: str, layer: Layer | str, given: float, have: str) -> None:
        """Hold what is there against a lower limit."""
        limit = self.chip.limit(name).most
        self._keep(name, limit / given - 1 if given else limit)
        if given < limit:
            self._break(name, layer, limit, given, have, bound="least")

    def one_of(self, name: str, layer: Layer | str, given: float, have: str) -> None:
        """Hold a number against a list of allowed ones."""
        allowed = self.chip.limit(name).values
        self._keep(name, 0.0 if given in allowed else max(given / max(allowed) - 1, 1.0))
        if given not in allowed:
            listed = ", ".join(f"{value:.15g}" for value in allowed)
            self._break(name, layer, max(allowed), given, f"{have} (one of {listed})")

    def broken(self, name: str, layer: Layer | str, have: str) -> None:
        """Say that a layer is not as the chip's structure wants it."""
        self.margins[name] = self.margins.get(name, 0.0) + 1
        self._break(name, layer, 0, 1, have)

    def keep(self, name: str, need: float) -> None:
        """Remember how near a limit is, without holding anything against it."""
        self._keep(name, need / self.chip.limit(name).most - 1)

    def _keep(self, name: str, margin: float) -> None:
        self.margins[name] = max(margin, self.margins.get(name, margin))

    def _break(
        self,
        name: str,
        layer: Layer | str,
        limit: float,
        need: float,
        have: str,
        *,
        bound: Bound = "most",
    ) -> None:
        operation = layer if isinstance(layer, str) else layer.name
        self.breaches.append(
            Breach(rule=name, operation=operation, limit=limit, need=need, have=have, bound=bound)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the layers lie.

    Attributes:
        summary: in words, for a table.
        layers: one record a layer, plain data: its name, what it needs and where it was put.
    """

    summary: str
    layers: tuple[Mapping[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"summary": self.summary, "layers": [dict(layer) for layer in self.layers]}
