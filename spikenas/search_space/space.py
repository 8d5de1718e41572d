"""`SearchSpace`: the set of architectures that a TOML file allows for images of one size."""

import hashlib
import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from spikenas import registry, shipped
from spikenas.architecture import Architecture, Halting, InputSpec, Stage
from spikenas.exceptions import ArchitectureError, SpecError, UsageError, did_you_mean
from spikenas.search_space import genes
from spikenas.search_space.choice_space import Traits
from spikenas.search_space.genes import Value
from spikenas.search_space.nodes import nodes
from spikenas.search_space.restriction import Only, as_only, restricted
from spikenas.search_space.spec import Spec, read, with_new_names
from spikenas.search_space.traversal import Choice, Choose, SpaceSize, Traversal

_NAME = re.compile(r"(?:stages\[(\d+)\]\.)?(?:blocks\[(\d+)\]\.)?(\w+)")
Rng = random.Random | int | None


class DeadEnd(SpecError):  # noqa: N818  (the field's word)
    """The space has no member for these images, as no choice satisfies all structural rules."""


class SearchSpace:
    """A set of architectures, read from TOML. Equal if the texts and the images are equal.

    All members are built by `draw`. ``rng`` is a generator, a seed, or None for a random seed.

    Attributes:
        name: of the shipped space, or of the file.
        toml: the text of the file.
        input, num_classes: of the images; None until the file or `with_input` sets them.
        only: the values that choices are restricted to, see `restricted`.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        source: str,
        toml: str,
        input: InputSpec | None = None,
        num_classes: int | None = None,
        only: Only | None = None,
    ) -> None:
        self._spec = spec
        self.name, self.toml, self._source = Path(source).stem, toml, source
        self.description, self.plugins = spec.description, spec.plugins
        self.input = input or spec.input
        self.num_classes = num_classes or spec.num_classes
        self.only = only or {}
        self._refuse_emptiness()

    @classmethod
    def load(cls, name_or_path: str | Path, *, allow_plugins: bool = False) -> "SearchSpace":
        """Read a shipped space by name, or your own by a path ending in ``.toml``."""
        text = shipped.read("search_spaces", name_or_path)
        return cls.from_toml(text, source=str(name_or_path), allow_plugins=allow_plugins)

    @classmethod
    def from_toml(
        cls, text: str, *, source: str = "space", allow_plugins: bool = False
    ) -> "SearchSpace":
        """Read a space; ``source`` names it in errors. Raises SpecError."""
        spec = read(text, source=source, allow_plugins=allow_plugins)
        return cls(spec, source=source, toml=text)

    def with_input(self, input: InputSpec, num_classes: int) -> "SearchSpace":
        """Return the space for other images. Raises DeadEnd if it has no member for them."""
        return SearchSpace(
            self._spec,
            source=self._source,
            toml=self.toml,
            input=input,
            num_classes=num_classes,
            only=self.only,
        )

    def restricted(self, only: Mapping[str, Value | Sequence[Value]]) -> "SearchSpace":
        """Return the subset of the space whose choices have these values.

        Args:
            only: one or several values, by the name of a choice (``stages[0].mixer``) or of a gene
                (``mixer``) for all its choices; values may be given as text.

        Raises:
            UsageError: an unknown choice, or a value that it does not have.
            DeadEnd: no member is left. A space without images raises both in `with_input`.
        """
        return SearchSpace(
            self._spec,
            source=self._source,
            toml=self.toml,
            input=self.input,
            num_classes=self.num_classes,
            only={**self.only, **as_only(only)},
        )

    @property
    def sha256(self) -> str:
        """The SHA-256 of the text, 64 hex digits."""
        return hashlib.sha256(self.toml.encode()).hexdigest()

    def draw(self, choose: Choose) -> Architecture:
        """Build a member by calling ``choose(name, values)`` for each live gene that is open.

        Each offered value leads to a member. Raises ArchitectureError if ``choose`` returns
        another one.
        """
        return self._assembled(self._traversal.run(choose))

    def sample(self, rng: Rng = None) -> Architecture:
        """Draw a random architecture, with each choice uniform over its values."""
        random_ = _generator(rng)
        return self.draw(lambda _, values: random_.choice(values))

    def contains(self, architecture: Architecture) -> bool:
        """Whether the architecture is a member."""
        try:
            self.choices_of(architecture)
        except ArchitectureError:
            return False
        return True

    def mutate(self, architecture: Architecture, rng: Rng = None) -> Architecture:
        """Return a member with one choice changed; later choices change only if they must.

        The only member of a space is returned unchanged. Raises ArchitectureError if
        ``architecture`` is not a member.
        """
        random_ = _generator(rng)
        current = self.choices_of(architecture)
        for changed in random_.sample(sorted(current), len(current)):

            def choose(name: str, values: tuple[Value, ...], changed: str = changed) -> Value:
                kept = current.get(name)
                if name == changed:
                    return random_.choice([v for v in values if v != kept] or values)
                return kept if kept in values else random_.choice(values)

            mutant = self.draw(choose)
            if mutant != architecture:
                return mutant
        return architecture

    def cross(self, a: Architecture, b: Architecture, rng: Rng = None) -> Architecture:
        """Return a member whose choices each come from one of two members, where possible."""
        random_ = _generator(rng)
        parents = self.choices_of(a), self.choices_of(b)

        def choose(name: str, values: tuple[Value, ...]) -> Value:
            inherited = [p[name] for p in parents if name in p and p[name] in values]
            return random_.choice(inherited or values)

        return self.draw(choose)

    def nearest(self, architecture: Architecture) -> Architecture:
        """Return the member that is most similar to any architecture; a member returns itself.

        Each gene, in the order of `domain`, takes the value of the architecture if it is offered,
        else the nearest number, else the first value. Further stages and blocks follow the last
        one of the architecture; genes that it does not have follow their default.
        """
        return self.draw(lambda name, values: _nearest(_wanted(architecture, name), values))

    def choices_of(self, architecture: Architecture) -> dict[str, Value]:
        """Return the choices with which `draw` builds this member. Raises ArchitectureError."""
        choices: dict[str, Value] = {}

        def choose(name: str, _: tuple[Value, ...]) -> Value:
            choices[name] = _gene(architecture, name)
            return choices[name]

        nearest = self.draw(choose)
        if nearest != architecture:
            theirs, ours = architecture.to_dict(), nearest.to_dict()
            gene = next(g for g in (*theirs, *ours) if theirs.get(g) != ours.get(g))
            raise ArchitectureError(
                f"{gene} = {theirs.get(gene)!r} is not in space {self.name!r}; "
                f"it has here: {ours.get(gene)!r}"
            )
        return choices

    def from_choices(self, choices: Mapping[str, Value]) -> Architecture:
        """Build the member with these choices; those that are not read are ignored."""
        choices = with_new_names(choices, "")
        known = [name for name, values in self.domain() if len(values) > 1]
        for name in choices:
            if name not in known:
                raise ArchitectureError(
                    f"{name} is not a choice of space {self.name!r}{did_you_mean(name, known)}; "
                    f"known: {', '.join(known) or 'none'}"
                )

        def choose(name: str, values: tuple[Value, ...]) -> Value:
            if name not in choices:
                raise ArchitectureError(f"{name} is missing; one of {', '.join(map(str, values))}")
            value: Any = choices[name]
            return tuple(value) if isinstance(value, list) else value  # JSON has no tuples

        return self.draw(choose)

    def traits(self, choices: Mapping[str, Value]) -> Traits:
        """Return what a sampler's model may learn from: open choices, and sums over stages.

        Sums are of each gene that is a number, and of how often each other value occurs.
        """
        counts: dict[str, float] = defaultdict(float)
        for name in self._open & choices.keys():
            gene, value = name.rpartition(".")[2], choices[name]
            if isinstance(value, int | float) and not isinstance(value, bool):
                counts[gene] += value
            else:
                counts[f"{gene} = {value}"] += 1
        own = {name: value for name, value in choices.items() if name in self._open}
        return Traits(choices=own, counts=dict(sorted(counts.items())))

    def size(self) -> SpaceSize:
        """Count the members; ``str()`` of the size says "at most" if it is a bound."""
        return self._size

    def domain(self) -> list[tuple[str, tuple[Value, ...]]]:
        """Return every gene of the file with all its values, in the order of the traversal."""
        return [(s.name, s.domain) for s in self._traversal.nodes if isinstance(s, Choice)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SearchSpace):
            return NotImplemented
        mine, theirs = (
            (space.toml, space.input, space.num_classes, space.only) for space in (self, other)
        )
        return mine == theirs

    def __hash__(self) -> int:
        return hash((self.toml, self.input, self.num_classes))

    def __repr__(self) -> str:
        members = f"{self.size()} members" if self.input else "any images"
        return f"SearchSpace({self.name!r}, {members})"

    @cached_property
    def _traversal(self) -> Traversal:
        if self.input is None:
            raise UsageError(
                f"space {self.name!r} does not say for which images it is; add an [input] table, "
                "or call with_input(input, num_classes)"
            )
        return Traversal(restricted(nodes(self._spec, self.input), self.only, self._source))

    @cached_property
    def _open(self) -> frozenset[str]:
        """The genes with more than one value somewhere."""
        return frozenset(name for name, values in self.domain() if len(values) > 1)

    @cached_property
    def _size(self) -> SpaceSize:
        return self._traversal.size()

    def _refuse_emptiness(self) -> None:
        images = self.input
        if images is None or self._traversal.can_end():
            return
        why = "".join(f"\n  - {text}" for text, _ in self._traversal.complaints.most_common(3))
        raise DeadEnd(
            f"{self._source}: no architecture of this space obeys the components' rules "
            f"for images of {images.channels}x{images.height}x{images.width}:{why}"
        )

    def _assembled(self, chosen: Mapping[str, Value]) -> Architecture:
        assert self.input is not None
        assert self.num_classes is not None
        stages = []
        for i in range(genes.integer(chosen["num_stages"])):
            prefix = f"stages[{i}]."
            own = {n.removeprefix(prefix): v for n, v in chosen.items() if n.startswith(prefix)}
            blocks = [own.pop(name) for name in [*own] if name.startswith("blocks[")]
            if blocks:
                own["mixer"] = tuple(blocks)  # type: ignore[arg-type]
            stages.append(Stage(**_with_options(own)))
        network = {n: v for n, v in chosen.items() if "." not in n and n != "num_stages"}
        halting = {f: network.pop(gene) for gene, f in genes.HALTING.items() if gene in network}
        return Architecture(
            input=self.input,
            num_classes=self.num_classes,
            stages=tuple(stages),
            halting=None if network.pop("halting", "none") == "none" else Halting(**halting),  # type: ignore[arg-type]
            **_with_options(network),
        )


def _with_options(chosen: Mapping[str, Value]) -> dict[str, Any]:
    known = {gene for level in genes.GENES.values() for gene in level}
    own: dict[str, Any] = {name: value for name, value in chosen.items() if name in known}
    return {**own, "options": tuple((n, v) for n, v in chosen.items() if n not in known)}


def _gene(architecture: Architecture, name: str) -> Any:
    """Return the value of a gene; None if the architecture does not have it."""
    match = _NAME.fullmatch(name)
    assert match
    stage, block, gene = match.groups()
    if stage is None:
        return _network_gene(architecture, gene)
    if int(stage) >= len(architecture.stages):
        return None
    owner = architecture.stages[int(stage)]
    if block is not None:
        return owner.mixer[int(block)] if int(block) < owner.depth else None
    if gene == "mixer":
        return owner.mixer[0] if len({*owner.mixer}) == 1 else ", ".join(owner.mixer)
    return _own_gene(owner, gene)


def _wanted(architecture: Architecture, name: str) -> Any:
    """Return the value that a gene should have, see `SearchSpace.nearest`."""
    match = _NAME.fullmatch(name)
    assert match
    stage, block, gene = match.groups()
    if stage is None:
        wanted = _network_gene(architecture, gene)
    else:
        owner = architecture.stages[min(int(stage), len(architecture.stages) - 1)]
        last = min(int(block or 0), owner.depth - 1)
        wanted = owner.mixer[last] if gene == "mixer" else _own_gene(owner, gene)
    return genes.DEFAULTS.get(gene) if wanted is None else wanted


def _nearest(wanted: Any, values: tuple[Value, ...]) -> Value:
    if wanted in values or not isinstance(wanted, int | float):
        return wanted if wanted in values else values[0]
    numbers = [value for value in values if isinstance(value, int | float)]
    return min(numbers, key=lambda value: (abs(value - wanted), value), default=values[0])


def _network_gene(architecture: Architecture, gene: str) -> Any:
    if gene == "num_stages":
        return len(architecture.stages)
    if gene == "halting":
        return "act" if architecture.halting else "none"
    if gene in genes.HALTING:
        return getattr(architecture.halting, genes.HALTING[gene], None)
    return _own_gene(architecture, gene)


def _own_gene(owner: Architecture | Stage, gene: str) -> Any:
    if any(gene in level for level in genes.GENES.values()):
        return getattr(owner, gene)
    return dict(owner.options).get(gene, _default_option(owner, gene))


def _default_option(owner: Architecture | Stage, option: str) -> Value | None:
    if isinstance(owner, Architecture):
        components = [registry.component(f, _gene(owner, f)) for f in genes.FAMILIES["network"]]
    else:
        components = [registry.component("mixer", name) for name in owner.mixer]
        if owner.downsampling is not None:
            components.append(registry.component("downsampling", owner.downsampling))
    return next(iter(genes.option_defaults(components, option)), None)


def _generator(rng: Rng) -> random.Random:
    return rng if isinstance(rng, random.Random) else random.Random(rng)
