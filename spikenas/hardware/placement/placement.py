"""What every placement returns: where layers are placed, what is violated, and the margins.

A placement is a function from layers and a profile to `Placement`. It reports its findings under
the names of the profile's limits and facts of structure, which give reason, cure and source.
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
    """One place where a rule, limit or fact of structure is not kept; see `Violation`."""

    rule: str
    operation: str
    limit: float = 0
    need: float = 1
    have: str
    bound: Bound = "most"


@dataclass(slots=True, kw_only=True)
class Findings:
    """Collects breaches and margins; `margins` keeps the worst of each limit."""

    chip: ChipProfile
    breaches: list[Breach] = field(default_factory=list)
    margins: dict[str, float] = field(default_factory=dict)

    def at_most(
        self, name: str, layer: Layer | str, need: float, have: str, *, limit: float | None = None
    ) -> None:
        """Check a need against an upper limit, by default its greatest value."""
        limit = self.chip.limit(name).most if limit is None else limit
        self._keep(name, need / limit - 1)
        if need > limit:
            self._break(name, layer, have, limit=limit, need=need)

    def at_least(self, name: str, layer: Layer | str, given: float, have: str) -> None:
        """Check what is there against a lower limit."""
        limit = self.chip.limit(name).most
        self._keep(name, limit / given - 1 if given else limit)
        if given < limit:
            self._break(name, layer, have, limit=limit, need=given, bound="least")

    def one_of(self, name: str, layer: Layer | str, given: float, have: str) -> None:
        """Check a number against a list of allowed ones."""
        allowed = self.chip.limit(name).values
        self._keep(name, 0.0 if given in allowed else max(given / max(allowed) - 1, 1.0))
        if given not in allowed:
            have += f" (one of {', '.join(f'{value:.15g}' for value in allowed)})"
            self._break(name, layer, have, limit=max(allowed), need=given)

    def broken(self, name: str, layer: Layer | str, have: str) -> None:
        """Report a layer that does not match a fact of the chip's structure."""
        self.margins[name] = self.margins.get(name, 0.0) + 1
        self._break(name, layer, have)

    def keep(self, name: str, need: float) -> None:
        """Record how close a limit is, without checking it."""
        self._keep(name, need / self.chip.limit(name).most - 1)

    def _keep(self, name: str, margin: float) -> None:
        self.margins[name] = max(margin, self.margins.get(name, margin))

    def _break(self, rule: str, layer: Layer | str, have: str, **numbers: Any) -> None:
        operation = layer if isinstance(layer, str) else layer.name
        self.breaches.append(Breach(rule=rule, operation=operation, have=have, **numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the layers are placed.

    Attributes:
        summary: in words, for a table.
        layers: one record per layer, plain data: its name, what it needs and where it is placed.
    """

    summary: str
    layers: tuple[Mapping[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"summary": self.summary, "layers": [dict(layer) for layer in self.layers]}
