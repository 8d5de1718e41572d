"""`ChipProfile`: what a chip can run, read from one TOML file.

A profile has rules (an operation that it refuses, warns of or notes) and limits (a number that
it allows). Each carries its reason, its cure in words of the search space, its source and how
sure that source is, so that no verdict stands without evidence.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic_core import ErrorDetails

from spikenas.exceptions import SpecError, UnknownNameError, did_you_mean
from spikenas.workload import Kind, Signal

Grade = Literal[
    "tool",  # confirmed by running the vendor's own tool
    "vendor",  # the vendor's documentation or code
    "paper",  # a primary paper, its figures or its authors' code
    "tool-code",  # read in a mapper, not run
    "secondary",  # a third party quoting a primary source
    "inferred",  # our reasoning
    "recalled",  # general knowledge, the source not seen
]
LimitName = Literal[
    "max_parameters",
    "max_neurons",
    "max_steps",
    "max_fan_in",
    "max_weights_per_operation",
    "max_neurons_per_operation",
]
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Count = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]


class _Evidence(BaseModel):
    """Why something is so, what to do about it, who says it and how sure they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Text
    cure: Text
    source: Text
    grade: Grade


class Rule(_Evidence):
    """Operations that a chip refuses, warns of or notes.

    A rule applies to an operation of one of its kinds for which every given condition holds.

    Attributes:
        any_input: an operand carries one of these signals.
        all_inputs: every operand carries one of these signals.
        from_image: it reads what enters the network.
        not_behind: it is not fed directly by an operation of these kinds.
        feeds: its output reaches one of these kinds before further weights.
        above: each named attribute of the operation is greater than the number.
        biased: it adds a constant at every step.
        cost: what the text shall count: ``replication`` of weights by a membrane shortcut, or
            ``coincidences``, the neurons that would compute the products.
    """

    verdict: Literal["forbidden", "warning", "note"]
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    any_input: tuple[Signal, ...] = ()
    all_inputs: tuple[Signal, ...] = ()
    from_image: bool = False
    not_behind: tuple[Kind, ...] = ()
    feeds: tuple[Kind, ...] = ()
    above: Mapping[str, Number] = Field(default_factory=dict)
    biased: bool = False
    cost: Literal["replication", "coincidences"] | None = None


class Limit(_Evidence):
    """The most of something that a chip holds."""

    value: Count


class ChipProfile(BaseModel):
    """A chip, or a class of chips.

    Attributes:
        clock: ``none`` where the arrival of an event is all the timing there is, ``time_step``
            where all neurons finish a step before the next begins.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    title: Text
    clock: Literal["none", "time_step"]
    source: Text
    rules: Mapping[Name, Rule] = Field(default_factory=dict)
    limits: Mapping[LimitName, Limit] = Field(default_factory=dict)
    _toml: str = PrivateAttr("")

    @classmethod
    def from_toml(cls, text: str, *, source: str = "chip profile") -> "ChipProfile":
        """Read a profile; ``source`` names the text in errors. Raises SpecError."""
        try:
            profile = cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise SpecError(f"{source}: not valid TOML: {error}") from None
        except ValidationError as error:
            raise SpecError(f"{source}: {_complaints(error)}") from None
        for name in profile.rules:
            if name in get_args(LimitName):
                raise SpecError(f"{source}: rules.{name} bears the name of a limit; rename it")
        profile._toml = text
        return profile

    @property
    def toml(self) -> str:
        """The text that it was read from, to be kept with a run."""
        return self._toml

    @property
    def sha256(self) -> str:
        """The digest of the text."""
        return hashlib.sha256(self._toml.encode()).hexdigest()


def chips() -> list[str]:
    """Return the names of the shipped profiles, sorted."""
    return sorted(
        file.name.removesuffix(".toml") for file in _FOLDER.iterdir() if file.name.endswith(".toml")
    )


def chip(name_or_path: str | Path) -> ChipProfile:
    """Return a shipped profile by name, or the user's own by a path ending in ``.toml``."""
    name = str(name_or_path)
    if name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise SpecError(f"{name}: cannot be read as a text file: {error}") from error
        return ChipProfile.from_toml(text, source=name)
    if name not in chips():
        raise UnknownNameError(
            "chip", name, chips(), hint="To use your own file, give its path ending in .toml"
        )
    text = (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    return ChipProfile.from_toml(text, source=f"chip {name}")


_FOLDER = files("spikenas.hardware") / "chips"


def _complaints(error: ValidationError) -> str:
    """Say all that is wrong, but of a list only which of its entries are."""
    places = [details["loc"] for details in error.errors()]
    return "; ".join(
        _complaint(details)
        for details in error.errors()
        if not any(details["loc"] == place[: len(place) - 1] for place in places)
    )


def _complaint(details: ErrorDetails) -> str:
    """Say in one clause which key is wrong, what it holds and what is allowed."""
    place = [part for part in details["loc"] if part != "[key]"]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)[1:]
    last = str(place[-1]) if place else ""
    if details["type"] == "missing":
        return f"{where} is missing"
    if details["type"] == "extra_forbidden":
        known = _keys_beside(place)
        return f"{where} is no key{did_you_mean(last, known)}; known: {', '.join(known)}"
    if details["type"] in ("enum", "literal_error"):
        is_key = details["loc"][-1] == "[key]"
        given = str(details["input"])
        allowed = re.findall(r"'([^']+)'", details["ctx"]["expected"])
        what = f"{where} is no key" if is_key else f"{where} = {given!r}"
        return f"{what}{did_you_mean(given, allowed)}; allowed: {', '.join(allowed)}"
    message = details["msg"][0].lower() + details["msg"][1:]
    return f"{where} = {details['input']!r}; {message}"


def _keys_beside(place: list[Any]) -> list[str]:
    models: dict[Any, type[BaseModel]] = {"rules": Rule, "limits": Limit}
    model = models[place[0]] if len(place) > 1 else ChipProfile
    return list(model.model_fields)
