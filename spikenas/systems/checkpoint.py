"""Official checkpoints: infer sizes from names and shapes, and match their tensors with ours.

The ``NAMES`` of a system rewrite our names into official ones, in order. In an official name
``{a|b}`` is an alternative between files, ``<i>`` the i-th layer of a branch after a trunk, and
``*`` one tensor per head, to be stacked. Shapes that differ only by trailing ones are equal (1x1
kernels). Every size is read from the first of several tensors that exists, so that with one layer
missing or renamed there is still a network to compare all others with.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product

from spikenas.exceptions import UsageError

Names = tuple[tuple[str, str], ...]
Shape = tuple[int, ...]
Clue = tuple[str, int]  # a name, and the axis of its tensor that has the size
_ALTERNATIVES = re.compile(r"\{([^}]*)\}")


class Shapes:
    """The names of a checkpoint with the shapes of their tensors.

    Attributes:
        is_guessed: whether some size had to be taken from its default.
    """

    def __init__(self, system: str, shapes: Mapping[str, Shape]) -> None:
        self.system = system
        self.is_guessed = False
        self._shapes = shapes
        self._kin = Counter(map(_kin, shapes))
        self._words = Counter(word for name in shapes for word in _words(name))

    @property
    def names(self) -> list[str]:
        """All names."""
        return list(self._shapes)

    def has(self, name: str) -> bool:
        """Whether a tensor of this name, or an alternative, exists."""
        return self.found(name) is not None

    def found(self, name: str) -> str | None:
        """Return which of the alternatives exists."""
        return next((each for each in alternatives(name) if each in self._shapes), None)

    def shape(self, name: str) -> Shape | None:
        """Return the shape of a tensor, or of an alternative, if it exists."""
        found = self.found(name)
        return None if found is None else self._shapes[found]

    def size(self, what: str, *clues: Clue, default: int | None = None) -> int:
        """Return a size from the first clue that exists, else the default.

        Raises UsageError, which says that ``what`` is unknown, if there is neither.
        """
        for name, axis in clues:
            shape = self.shape(name)
            if shape is not None and len(shape) > axis and shape[axis] > 0:
                return shape[axis]
        if default is None:
            lacking = " and ".join(self.likely(name) for name, _ in clues)
            raise UsageError(
                f"this {self.system} checkpoint does not tell its {what}: it lacks {lacking}"
            )
        self.is_guessed = True
        return default

    def count(self, pattern: str) -> int:
        """Return one more than the largest number in the group of the pattern; at least 1."""
        seen = {int(m[1]) for name in self._shapes if (m := re.match(pattern, name))}
        return max(seen, default=0) + 1

    def heads(
        self, given: int | None, *widths: int, told: int | None = None, known: int | None = None
    ) -> int:
        """Return the number of heads, from the checkpoint, the caller or the paper."""
        if told is not None and given not in (None, told):
            raise UsageError(
                f"num_heads = {given}, but this {self.system} checkpoint has {told} heads; "
                "leave num_heads out"
            )
        heads = told or given or known
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

    def likely(self, name: str) -> str:
        """Return the alternative that is most similar to the other names of the checkpoint."""

        def evidence(each: str) -> tuple[int, int, int]:
            siblings = sum(n.startswith(f"{each.rsplit('.', 2)[0]}.") for n in self._shapes)
            words = sum(self._words[word] for word in _words(each))
            return siblings, self._kin[_kin(each)], words

        return max(alternatives(name), key=evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How a checkpoint matches a network.

    Attributes:
        sources: our names, each with its official name, or with one name per head.
        problems: each tensor that is missing, unexpected or of another shape, in words.
    """

    sources: Mapping[str, Sequence[str]]
    problems: Sequence[str]


def match(
    names: Names,
    needed: Mapping[str, Shape],
    shapes: Shapes,
    *,
    unused: Sequence[str],
    trunk: int = 1,
) -> Match:
    """Match the tensors that our network needs with those of a checkpoint."""
    sources: dict[str, list[str]] = {}
    missing: dict[str, Shape] = {}
    misshapen: list[str] = []
    for ours, shape in needed.items():
        pattern = official(names, ours, trunk=trunk)
        parts, part_shape = [pattern], shape
        if "*" in pattern:
            parts, part_shape = [pattern.replace("*", str(i)) for i in range(shape[0])], shape[1:]
        sources[ours] = [shapes.found(part) or shapes.likely(part) for part in parts]
        for name in sources[ours]:
            found = shapes.shape(name)
            if found is None:
                missing[name] = part_shape
            elif _without_ones(found) != _without_ones(part_shape):
                misshapen.append(f"{name}: is {_text(found)}, needed {_text(part_shape)}")
    taken = {name for found in sources.values() for name in found}
    foreign = [n for n in shapes.names if n not in taken and not is_unused(n, unused)]
    if shapes.is_guessed and missing:  # the needed shapes depend on what is missing
        misshapen = []
    problems = []
    for name, shape in missing.items():
        size = "" if shapes.is_guessed else f", needed {_text(shape)}"
        near = get_close_matches(name, foreign, n=1, cutoff=0.8)
        problems.append(f"{name}: missing{size}{f'; is it {near[0]}?' if near else ''}")
    problems += misshapen
    problems += [f"{name}: unexpected {_text(shapes.shape(name) or ())}" for name in foreign]
    return Match(sources=sources, problems=problems)


def official(names: Names, ours: str, *, trunk: int = 1) -> str:
    """Return the official name of one of our tensors; ``trunk`` layers precede a branch."""
    for pattern, replacement in names:
        ours = re.sub(pattern, replacement, ours, count=1)
    return re.sub(r"<(\d)>", lambda m: str(int(m[1]) + trunk), ours)


def alternatives(name: str) -> list[str]:
    """Expand ``{a|b}``."""
    parts: Sequence[str] = _ALTERNATIVES.split(name)
    choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(each) for each in product(*choices)]


def is_unused(name: str, patterns: Sequence[str]) -> bool:
    """Whether the official code never reads a tensor that it builds, or it counts batches."""
    return any(re.fullmatch(p, name) for p in (*patterns, r".*num_batches_tracked"))


def _kin(name: str) -> str:
    """Return the name without numbers, which the same layers of all blocks share."""
    return re.sub(r"\d+", "#", name)


def _words(name: str) -> set[str]:
    return {*re.split(r"[._]", name)}


def _without_ones(shape: Shape) -> Shape:
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _text(shape: Shape) -> str:
    return f"[{', '.join(map(str, shape))}]"
