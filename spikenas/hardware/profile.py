"""`ChipProfile`: what a chip can run, read from one TOML file.

A profile has rules (operations that it refuses, warns about or notes), limits (numbers that it
allows) and, where layers are placed on cores, facts of structure. Each states its reason, its cure
in terms of the search space, its source and how reliable that source is, so every verdict comes
with evidence.
"""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationError,
)

from spikenas import shipped
from spikenas.exceptions import SpecError, UnknownNameError, UsageError
from spikenas.hardware.profile_errors import complaints, known_place
from spikenas.hardware.profile_names import (
    PLACEMENTS,
    LimitName,
    Needs,
    PlacementName,
    StructureName,
)
from spikenas.workload import AttributeName, Kind, Signal

Grade = Literal[
    "tool",  # confirmed by running the vendor's own tool
    "vendor",  # the vendor's documentation or code
    "paper",  # a primary paper, its figures or its authors' code
    "tool-code",  # read in a mapper, not run
    "secondary",  # a third party quoting a primary source
    "inferred",  # our reasoning
    "recalled",  # general knowledge, the source not seen
]
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Count = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Place = Annotated[str, AfterValidator(known_place)]
OneOrMany = Annotated[
    Annotated[Count, Tag("number")]
    | Annotated[tuple[Count, ...], Field(min_length=1), Tag("list")],
    Discriminator(lambda value: "list" if isinstance(value, list | tuple) else "number"),
]
_FOLDER = files("spikenas.hardware") / "chips"
_SOFT: tuple[Grade, ...] = ("secondary", "recalled")


class Table(BaseModel):
    """A table of a TOML file; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def from_text(cls, text: str, source: str) -> Self:
        """Parse a whole file; ``source`` names it in errors. Raises SpecError."""
        try:
            return cls.model_validate(shipped.parse_toml(text))
        except SpecError as error:
            raise SpecError(f"{source}: {error}") from None
        except ValidationError as error:
            raise SpecError(f"{source}: {complaints(error, cls)}") from None


class Fact(Table):
    """A property of a chip: why it holds, what to do about it, who says so and how reliably."""

    reason: Text
    cure: Text
    source: Text
    grade: Grade


class ChipRule(Fact):
    """Operations that a chip refuses, warns about or notes.

    A rule applies to an operation of one of its kinds for which every given condition holds.

    Attributes:
        any_input: an operand carries one of these signals.
        all_inputs: every operand carries one of these signals.
        from_image: it reads the input of the network.
        not_behind: it is not fed directly by an operation of these kinds.
        feeds: its output reaches one of these kinds before further weights.
        above: each named attribute of the operation is greater than the number.
        lacks: the operation has none of these attributes.
        biased: it adds a constant at every step.
        within: its name begins with this part of the network, such as ``halting``.
        not_within: its name does not begin with this part.
        cost: what the message counts: ``replication`` of weights by a membrane shortcut, or
            ``coincidences``, the neurons that would compute the products.
    """

    verdict: Literal["forbidden", "warning", "note"]
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    any_input: tuple[Signal, ...] = ()
    all_inputs: tuple[Signal, ...] = ()
    from_image: bool = False
    not_behind: tuple[Kind, ...] = ()
    feeds: tuple[Kind, ...] = ()
    above: Mapping[AttributeName, Number] = Field(default_factory=dict)
    lacks: tuple[AttributeName, ...] = ()
    biased: bool = False
    within: Place = ""
    not_within: Place = ""
    cost: Literal["replication", "coincidences"] | None = None


# A rule of every profile, unless its file has another one of this name.
_OF_EVERY_CHIP: Mapping[str, ChipRule] = {
    "neuron_dynamics": ChipRule(
        verdict="forbidden",
        kinds=(Kind.NEURON,),
        lacks=("leak",),
        reason="its charge is neither a leak nor a plain sum, so no profile can tell if it runs",
        cure="choose neuron = 'if', 'lif' or 'plif', or give the chip a rule 'neuron_dynamics'",
        source="every source of the shipped profiles speaks of IF and LIF neurons only",
        grade="inferred",
    )
}


class Limit(Fact):
    """The most of something that a chip holds, or the least that a placement requires.

    Attributes:
        value: a number; or a list, of one number per core or of all allowed values.
        advisory: exceeding it only warns, because there is a workaround.
    """

    value: OneOrMany
    advisory: bool = False

    @property
    def is_soft(self) -> bool:
        """Whether it only warns: it is advisory, or no first-hand source states it."""
        return self.advisory or self.grade in _SOFT

    @cached_property
    def values(self) -> tuple[float, ...]:
        """The value as a tuple, even if it is a single number."""
        return self.value if isinstance(self.value, tuple) else (self.value,)

    @cached_property
    def most(self) -> float:
        """The greatest value."""
        return max(self.values)


class ChipProfile(Table):
    """A chip, or a class of chips.

    Attributes:
        clock: ``none`` where timing is given by the arrival of events alone, ``time_step`` where
            all neurons finish a step before the next begins.
        extends: a shipped profile whose rules are inherited; rules of the same name override
            them. Placement, limits and structure are inherited too, unless the profile names
            another placement.
        placement: how layers are mapped to cores; needs limits and structure of its own.
        structure: what the chip's layers must look like.
    """

    name: Name
    title: Text
    clock: Literal["none", "time_step"]
    source: Text
    extends: Name | None = None
    placement: PlacementName | None = None
    rules: Mapping[Name, ChipRule] = Field(default_factory=dict)
    limits: Mapping[LimitName, Limit] = Field(default_factory=dict)
    structure: Mapping[StructureName, Fact] = Field(default_factory=dict)
    _toml: str = PrivateAttr("")

    @classmethod
    def from_toml(cls, text: str, *, source: str = "chip profile") -> "ChipProfile":
        """Read a profile; ``source`` names the text in errors. Raises SpecError."""
        own = cls.from_text(text, source)
        profile = own if own.extends is None else own._extending(own.extends, source)
        profile = profile.model_copy(update={"rules": {**_OF_EVERY_CHIP, **profile.rules}})
        profile._obey_names(source)
        profile._obey_placement(source)
        profile._toml = text
        return profile

    @property
    def toml(self) -> str:
        """The text that it was read from; runs keep it."""
        return self._toml

    @property
    def sha256(self) -> str:
        """The digest of the text."""
        return hashlib.sha256(self._toml.encode()).hexdigest()

    @property
    def forbidden(self) -> tuple[str, ...]:
        """The names of the rules that refuse."""
        return tuple(name for name, rule in self.rules.items() if rule.verdict == "forbidden")

    @property
    def margin_names(self) -> tuple[str, ...]:
        """The names of everything that a network can violate, the keys of `Verdict.margins`."""
        return (*self.forbidden, *self.limits, *self.structure)

    def limit(self, name: str) -> Limit:
        """Return a limit that is known to be there."""
        return self.limits[cast(LimitName, name)]

    def fact(self, name: str) -> Fact:
        """Return a limit, a fact of structure or a rule."""
        if name in self.rules:
            return self.rules[name]
        if name in self.limits:
            return self.limit(name)
        return self.structure[cast(StructureName, name)]

    def _extending(self, name: str, source: str) -> "ChipProfile":
        """Return the profile with everything that it inherits from another one."""
        try:
            base = chip(name)
        except UnknownNameError as error:
            raise SpecError(f"{source}: extends = {name!r}: {error}") from None
        inherited: dict[str, Any] = {"rules": {**base.rules, **self.rules}}
        if self.placement in (None, base.placement):
            inherited |= {
                "placement": base.placement,
                "limits": {**base.limits, **self.limits},
                "structure": {**base.structure, **self.structure},
            }
        return self.model_copy(update=inherited)

    def _obey_names(self, source: str) -> None:
        """Check each name against the other tables and against what the placement reads."""
        for name in self.rules:
            if name in (*get_args(LimitName), *get_args(StructureName)):
                raise SpecError(f"{source}: rules.{name} bears the name of a limit; rename it")
        needs = PLACEMENTS[self.placement] if self.placement else Needs()
        tables: Mapping[str, tuple[tuple[str, ...], Mapping[Any, Fact]]] = {
            "limits": (needs.limits, self.limits),
            "structure": (needs.structure, self.structure),
        }
        for table, (wanted, given) in tables.items():
            for name in wanted:
                if name not in given:
                    raise SpecError(
                        f"{source}: {table}.{name} is missing; placement = {self.placement!r} "
                        f"reads {', '.join(wanted)}"
                    )
        for name, limit in self.limits.items():
            if name not in needs.all_limits and not name.startswith("max_"):
                kinds = [kind for kind, other in PLACEMENTS.items() if name in other.all_limits]
                raise SpecError(
                    f"{source}: limits.{name} is read by placement = "
                    f"{' or '.join(map(repr, kinds))} only; set it, or remove the limit"
                )
            if isinstance(limit.value, tuple) and name.startswith("max_"):
                raise SpecError(f"{source}: limits.{name}.value is a list; needed: one number")

    def _obey_placement(self, source: str) -> None:
        """Refuse values that the placement cannot handle."""
        if self.placement is None:
            return
        needs = PLACEMENTS[self.placement]
        for name, known in needs.known.items():
            for value in self.limits[name].values:
                if value not in known:
                    raise SpecError(
                        f"{source}: limits.{name}.value has {value:.15g}; placement = "
                        f"{self.placement!r} knows {', '.join(map(str, known))}"
                    )
        for name, parts in needs.parts.items():
            given, limit = sum(self.limits[part].most for part in parts), self.limits[name].most
            if given > limit:
                raise SpecError(
                    f"{source}: limits.{name}.value = {limit:.15g}, but {' and '.join(parts)} are "
                    f"among them and make {given:.15g}; needed: at least as many"
                )
        for name, other in needs.alongside.items():
            have, wanted = len(self.limits[name].values), len(self.limits[other].values)
            if have != wanted:
                raise SpecError(
                    f"{source}: limits.{name}.value has a length of {have}; needed: {wanted}, a "
                    f"number for each of limits.{other}.value"
                )


def chips() -> list[str]:
    """Return the names of the shipped profiles, sorted."""
    return shipped.names_in(_FOLDER)


def chip(name_or_path: str | Path | ChipProfile) -> ChipProfile:
    """Return a shipped profile by name, or the user's own by a path ending in ``.toml``.

    A profile is returned unchanged. It must have been read from a text, which runs keep.
    """
    if isinstance(name_or_path, ChipProfile):
        if not name_or_path.toml:
            raise UsageError(
                f"chip {name_or_path.name!r} was not read from a text, which runs must keep; "
                "create it with ChipProfile.from_toml"
            )
        return name_or_path
    text, name = shipped.read_from(_FOLDER, "chip", name_or_path), str(name_or_path)
    return ChipProfile.from_toml(text, source=name if name.endswith(".toml") else f"chip {name}")
