"""What is wrong with a profile, in words: which key, what it holds, what is allowed."""

import re

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from spikenas.exceptions import did_you_mean
from spikenas.workload import PLACES


def complaints(
    error: ValidationError,
    rule: type[BaseModel],
    limit: type[BaseModel],
    fact: type[BaseModel],
    profile: type[BaseModel],
) -> str:
    """Say all that is wrong, but of a list only which of its entries are."""
    models = {"rules": rule, "limits": limit, "structure": fact, "": profile}
    places = [details["loc"] for details in error.errors()]
    return "; ".join(
        _complaint(details, models)
        for details in error.errors()
        if not any(details["loc"] == place[: len(place) - 1] for place in places)
    )


def known_place(given: str) -> str:
    """Return a place of the network; refuse one where no operation can be."""
    first = given.partition(".")[0]
    if given and first not in PLACES:
        raise PydanticCustomError(
            "place",
            "no operation is there{hint}; allowed to begin with: {places}",
            {"hint": did_you_mean(first, PLACES), "places": ", ".join(PLACES)},
        )
    return given


def _complaint(details: ErrorDetails, models: dict[str, type[BaseModel]]) -> str:
    """Say in one clause which key is wrong, what it holds and what is allowed."""
    place = [part for part in details["loc"] if part != "[key]" and not _is_branch(part)]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)[1:]
    last = str(place[-1]) if place else ""
    if details["type"] == "missing":
        return f"{where} is missing"
    if details["type"] == "extra_forbidden":
        table = str(place[0]) if len(place) > 1 else ""
        known = list(models.get(table, models[""]).model_fields)
        return f"{where} is no key{did_you_mean(last, known)}; known: {', '.join(known)}"
    if details["type"] in ("enum", "literal_error"):
        is_key = details["loc"][-1] == "[key]"
        given = str(details["input"])
        allowed = re.findall(r"'([^']+)'", details["ctx"]["expected"])
        what = f"{where} is no key" if is_key else f"{where} = {given!r}"
        return f"{what}{did_you_mean(given, allowed)}; allowed: {', '.join(allowed)}"
    message = details["msg"][0].lower() + details["msg"][1:]
    return f"{where} = {details['input']!r}; {message}"


def _is_branch(part: str | int) -> bool:
    """Say whether a part of a place is the tag of a value that may be a number or a list."""
    return part in ("number", "list")
