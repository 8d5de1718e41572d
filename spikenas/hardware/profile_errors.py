"""Readable errors for profiles: which key is wrong, its value, and what is allowed."""

import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from spikenas.exceptions import did_you_mean
from spikenas.workload import PLACES

_NEEDED = {
    "string_type": "text in quotes",
    "string_too_short": "text that is not empty",
    "float_type": "a number",
    "bool_type": "true or false",
    "model_type": "a table",
    "dict_type": "a table",
    "mapping_type": "a table",
    "tuple_type": "a list",
}


def complaints(error: ValidationError, model: type[BaseModel]) -> str:
    """Return every error of a file of this model; for a list, only those of its entries."""
    places = [details["loc"] for details in error.errors()]
    return "; ".join(
        _complaint(details, model)
        for details in error.errors()
        if not any(details["loc"] == place[: len(place) - 1] for place in places)
    )


def known_place(given: str) -> str:
    """Return a part of the network; refuse one that has no operations."""
    first = given.partition(".")[0]
    if given and first not in PLACES:
        raise PydanticCustomError(
            "place",
            "no operation is there{hint}; allowed to begin with: {places}",
            {"hint": did_you_mean(first, PLACES), "places": ", ".join(PLACES)},
        )
    return given


def _complaint(details: ErrorDetails, model: type[BaseModel]) -> str:
    """Return one clause: which key is wrong, its value and what is allowed."""
    place = [part for part in details["loc"] if part != "[key]" and not _is_branch(part)]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)[1:]
    last = str(place[-1]) if place else ""
    if details["type"] == "missing":
        fields = _table_at(model, place[:-1]).model_fields
        required = [name for name, field in fields.items() if field.is_required()]
        return f"{where} is missing; its table needs {', '.join(required)}"
    if details["type"] == "extra_forbidden":
        known = list(_table_at(model, place[:-1]).model_fields)
        return f"{where} is no key{did_you_mean(last, known)}; known: {', '.join(known)}"
    if details["type"] in ("enum", "literal_error"):
        is_key = details["loc"][-1] == "[key]"
        given = str(details["input"])
        allowed = re.findall(r"'([^']+)'", details["ctx"]["expected"])
        what = f"{where} is no key" if is_key else f"{where} = {given!r}"
        return f"{what}{did_you_mean(given, allowed)}; allowed: {', '.join(allowed)}"
    if details["type"] == "value_error":  # from one of our validators
        return f"{where}: {details['ctx']['error']}"
    if details["type"] == "string_pattern_mismatch":
        what = where if details["loc"][-1] == "[key]" else f"{where} = {details['input']!r}"
        return f"{what} is no name; needed: a small letter, then small letters, digits or _"
    message = _NEEDED.get(details["type"], details["msg"])
    message = re.sub("^Input should be (?=greater)", "a number ", message)
    needed = "" if details["type"] == "place" else "needed: "
    return f"{where} = {details['input']!r}; {needed}{message.removeprefix('Input should be ')}"


def _table_at(model: type[BaseModel], place: Sequence[str | int]) -> type[BaseModel]:
    """Return the model of the table at a place such as ``rules.max_pool``."""
    kind: Any = model
    for part in place:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        else:  # a mapping of names to tables
            kind = get_args(kind)[-1]
        if type(None) in get_args(kind):
            kind = get_args(kind)[0]
    assert isinstance(kind, type)
    assert issubclass(kind, BaseModel)
    return kind


def _is_branch(part: str | int) -> bool:
    """Whether a part of a place is the tag of a value that may be a number or a list."""
    return part in ("number", "list")
