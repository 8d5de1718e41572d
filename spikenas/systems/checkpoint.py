"""Official checkpoints: what their names and shapes tell, and which tensor is which of ours.

A system's ``NAMES`` rewrite our names into official ones, in order. ``{a|b}`` in an official name
is an alternative that files differ in, ``<i>`` the i-th layer of a branch behind a trunk, ``*``
one tensor a head, to be stacked. Shapes that differ by trailing ones are equal (1x1 kernels).
"""

import re
from collections.abc import Mapping, Sequence
from itertools import product

from spikenas.exceptions import UsageError

Names = tuple[tuple[str, str], ...]
_ALTERNATIVES = re.compile(r"\{([^}]*)\}")


class Shapes:
    """The names of a checkpoint with the shapes of their tensors."""

    def __init__(self, system: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.system = system
        self._shapes = shapes

    @property
    def names(self) -> list[str]:
        """All names."""
        return list(self._shapes)

    def has(self, name: str) -> bool:
        """Whether a tensor of this name, or an alternative, is there."""
        return self.found(name) is not None

    def of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor that must be there."""
        found = self.found(name)
        if found is None:
            raise UsageError(f"the checkpoint lacks {alternatives(name)[0]}")
        return self._shapes[found]

    def found(self, name: str) -> str | None:
        """Return which of the alternatives is there."""
        return next((each for each in alternatives(name) if each in self._shapes), None)

    def count(self, pattern: str, *, first: int = 0) -> int:
        """Return how many numbers, counted from ``first``, stand where the group is."""
        seen = {int(m[1]) for name in self._shapes if (m := re.match(pattern, name))}
        return max(seen, default=first - 1) - first + 1

    def heads(self, given: int | None, *widths: int, told: int | None = None) -> int:
        """Return the number of heads, given or told by the checkpoint."""
        if told is not None and given not in (None, told):
            raise UsageError(
                f"num_heads = {given}, but this {self.system} checkpoint has {told} heads; "
                "leave num_heads out"
            )
        heads = told or given
        divisors = [h for h in range(1, 65) if all(width % h == 0 for width in widths)]
        listed = ", ".join(map(str, divisors))
        of = " and ".join(map(str, dict.fromkeys(widths)))
        if heads is None:
            raise UsageError(
                f"the shapes of this {self.system} checkpoint do not tell its number of heads; "
                f"give num_heads, a divisor of width {of}: {listed}"
            )
        if any(width % heads for width in widths):
            raise UsageError(f"num_heads = {heads} does not divide width {of}; divisors: {listed}")
        return heads


def official(names: Names, ours: str, *, trunk: int = 1) -> str:
    """Return the official name of one of our tensors; ``trunk`` layers precede a branch."""
    for pattern, replacement in names:
        ours = re.sub(pattern, replacement, ours, count=1)
    return re.sub(r"<(\d)>", lambda m: str(int(m[1]) + trunk), ours)


def alternatives(name: str) -> list[str]:
    """Spell out ``{a|b}``."""
    parts: Sequence[str] = _ALTERNATIVES.split(name)
    choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(each) for each in product(*choices)]


def is_unused(name: str, patterns: Sequence[str]) -> bool:
    """Whether the official code builds a tensor and never reads it; counters of batches too."""
    return any(re.fullmatch(p, name) for p in (*patterns, r".*num_batches_tracked"))
