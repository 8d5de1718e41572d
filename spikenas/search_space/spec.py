"""`Spec`: a space file, read from TOML and validated.

Pydantic validates the structure of the tables, `genes` the values, and `tables` their combination.
All mistakes are reported at once.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikenas import shipped
from spikenas.architecture import MAX_STAGES, InputSpec
from spikenas.exceptions import ArchitectureError, SpecError, UnknownNameError, did_you_mean
from spikenas.plugins import import_plugins
from spikenas.search_space import genes
from spikenas.search_space.genes import Level
from spikenas.search_space.tables import Condition, Table, Values

_log = logging.getLogger(__name__)
_OLD_NAMES = {"threshold": "halting_threshold"}  # of genes in spaces of version 0.1
_OTHER: Mapping[Level, tuple[Level, str]] = {
    "network": ("stage", "a [[stages]] table"),
    "stage": ("network", "[choices]"),
}


def with_new_names(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return choices by the current names of their genes, with a warning for names of 0.1."""
    old_names = {old: new for old, new in _OLD_NAMES.items() if old in given}
    for old, new in old_names.items():
        if new in given:
            raise SpecError(f"{where}{old} is the old name of {new}; leave it out")
        _log.warning("%s%s is read as %s, its name since 0.2", where, old, new)
    return {old_names.get(name, name): value for name, value in given.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A whole space file."""

    description: str
    plugins: tuple[str, ...]
    input: InputSpec | None
    num_classes: int | None
    network: Table
    stages: tuple[Table, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Space(_Strict):
    description: str = ""
    plugins: list[str] = []


class _Input(_Strict):
    channels: int
    height: int
    width: int
    kind: Literal["frames", "events"] = "frames"
    num_classes: int = Field(ge=2)


class _Stage(_Strict):
    model_config = ConfigDict(extra="allow")  # the genes, checked one by one
    mixer_per_block: bool = False
    when: dict[str, dict[str, dict[str, Any]]] = {}


class _File(_Strict):
    space: _Space = _Space()
    input: _Input | None = None
    choices: dict[str, Any]
    when: dict[str, dict[str, dict[str, Any]]] = {}
    stages: list[_Stage] = Field(min_length=1, max_length=MAX_STAGES)


def read(text: str, *, source: str, allow_plugins: bool) -> Spec:
    """Return the validated spec, or raise SpecError with every mistake and its place."""
    try:
        file = _File.model_validate(shipped.parse_toml(text))
    except SpecError as error:
        raise SpecError(f"{source}: {error}") from None
    except ValidationError as error:
        raise _spec_error(source, [_in_words(mistake) for mistake in error.errors()]) from None
    import_plugins(
        file.space.plugins, of=source, is_allowed=allow_plugins, folder=Path(source).parent
    )
    _rename_genes(file, source)
    problems: list[str] = []
    network = Table(
        level="network",
        where="choices",
        choices={
            "num_stages": (len(file.stages),),
            **_choices(file.choices, "choices", "network", problems),
        },
        when=_when(file.when, "when", "network", problems),
    )
    stages = tuple(
        Table(
            level="stage",
            where=f"stages[{i}]",
            choices=_choices(stage.__pydantic_extra__ or {}, f"stages[{i}]", "stage", problems),
            when=_when(stage.when, f"stages[{i}].when", "stage", problems),
            mixer_per_block=stage.mixer_per_block,
            outer=network,
        )
        for i, stage in enumerate(file.stages)
    )
    images = _input(file.input, problems)
    for table in (network, *stages) if not problems else ():
        problems += table.problems()
    most = max(genes.integer(number) for number in network.domain("num_stages") or (0,))
    if not problems and most > len(stages):
        problems.append(
            f"choices.num_stages goes up to {most}, but the file has {len(stages)} [[stages]] "
            "tables; write the others or lower it"
        )
    if problems:
        raise _spec_error(source, problems)
    for i, table in enumerate((network, *stages)):
        table.warn_of_unread(source, is_first_stage=i == 1)
    return Spec(
        description=file.space.description,
        plugins=tuple(file.space.plugins),
        input=images,
        num_classes=file.input.num_classes if file.input else None,
        network=network,
        stages=stages,
    )


def _rename_genes(file: _File, source: str) -> None:
    """Rename genes that had another name in version 0.1, with a warning for each place."""

    def renamed(given: Mapping[str, Any], where: str) -> dict[str, Any]:
        return with_new_names(given, f"{source}: {where}.")

    file.choices = renamed(file.choices, "choices")
    file.when = {
        key: {text: renamed(choices, f"when.{key}.{text}") for text, choices in tables.items()}
        for key, tables in renamed(file.when, "when").items()
    }
    for i, stage in enumerate(file.stages):
        stage.when = renamed(stage.when, f"stages[{i}].when")


def _choices(
    given: Mapping[str, object], where: str, level: Level, problems: list[str]
) -> dict[str, Values]:
    choices: dict[str, Values] = {}
    known = genes.names(level)
    for name, listed in given.items():
        if name in known:
            choices[name] = _values(name, listed, where, level, problems)
            continue
        other, home = _OTHER[level]
        if name in genes.names(other):
            problems.append(f"{where}.{name} belongs in {home}")
        else:
            problems.append(
                f"{where}.{name} is not a choice{did_you_mean(name, known)}; "
                f"known: {', '.join(known)}"
            )
    return choices


def _values(name: str, listed: object, where: str, level: Level, problems: list[str]) -> Values:
    values: list[genes.Value] = []
    seen: set[str] = set()
    for value in listed if isinstance(listed, list) else [listed]:
        is_twice = repr(value) in seen  # an invalid value is reported once
        seen.add(repr(value))
        try:
            parsed = None if is_twice else genes.parse(level, name, value)
        except UnknownNameError as error:
            problems.append(f"{where}.{name} = {value!r}: {error}")
        except ArchitectureError as error:
            is_nested = isinstance(value, list) and name in genes.GENES[level]
            cure = "; a list within the list is one value, remove its brackets"
            problems.append(f"{where}.{error}{cure * is_nested}")
        else:
            if parsed is None or parsed in values:
                problems.append(f"{where}.{name} lists {value!r} twice; leave one out")
            else:
                values.append(parsed)
    if listed == []:
        problems.append(f"{where}.{name} is an empty list; give at least one value")
    return tuple(values)


def _when(
    given: Mapping[str, Mapping[str, Mapping[str, Any]]],
    where: str,
    level: Level,
    problems: list[str],
) -> tuple[Condition, ...]:
    conditions = []
    header = "stages.when" if level == "stage" else "when"
    for key, tables in given.items():
        for text, choices in tables.items():
            at = f"{where}.{key}.{text}"
            nested = [name for name, value in choices.items() if isinstance(value, dict)]
            if nested:
                problems.append(
                    f"{at}.{nested[0]} is read by TOML as nested keys; "
                    f'quote the value: [{header}.{key}."{text}.{nested[0]}"]'
                )
                continue
            parsed = _choices(choices, at, level, problems)
            conditions.append(Condition(where=at, key=key, value=_json(text), choices=parsed))
    return tuple(conditions)


def _json(text: str) -> genes.Value:
    """Parse a VALUE: JSON, or a bare word as text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, list):
        return tuple(value)
    return value if isinstance(value, bool | int | float | str) else text


def _input(given: _Input | None, problems: list[str]) -> InputSpec | None:
    if given is None:
        return None
    try:
        return InputSpec(**given.model_dump(exclude={"num_classes"}))
    except ArchitectureError as error:
        problems.append(str(error))
        return None


def _spec_error(source: str, problems: Sequence[str]) -> SpecError:
    if len(problems) == 1:
        return SpecError(f"{source}: {problems[0]}")
    lines = "".join(f"\n  - {problem}" for problem in problems)
    return SpecError(f"{source}: {len(problems)} mistakes{lines}")


_TABLES: Mapping[tuple[str, ...], type[_Strict]] = {
    (): _File,
    ("space",): _Space,
    ("input",): _Input,
}
_NEEDED = {
    "string_type": "text in quotes",
    "int_type": "an integer",
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "list_type": "a list",
}


def _in_words(mistake: Mapping[str, Any]) -> str:
    """Convert one of pydantic's error details to a message like ours."""
    loc: tuple[str | int, ...] = mistake["loc"]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)[1:]
    cure = ""
    if loc[0] == "stages" and len(loc) == 1:
        cure = f"; write one [[stages]] table per stage, at most {MAX_STAGES}"
    elif "when" in loc:
        key = loc[loc.index("when") + 1] if loc[-1] != "when" else "KEY"
        header = "stages.when" if loc[0] == "stages" else "when"
        cure = f'; write [{header}.{key}."VALUE"] and the choices below it'
    if mistake["type"] == "missing":
        return f"{where} is missing{cure}"
    if mistake["type"] == "extra_forbidden":
        known = list(_TABLES[tuple(str(part) for part in loc[:-1])].model_fields)
        return (
            f"{where} is not a key of a space{did_you_mean(str(loc[-1]), known)}; "
            f"known: {', '.join(known)}"
        )
    needed = _NEEDED.get(mistake["type"], mistake["msg"].removeprefix("Input should be "))
    return f"{where} = {mistake['input']!r}; needed: {needed}{cure}"
