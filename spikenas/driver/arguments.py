"""What `search` takes, by type, as Python's own errors would not say which argument is meant."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spikenas.exceptions import UsageError, in_short

_TYPES: dict[str, tuple[Any, str]] = {
    "data_root": (str | Path | None, "the path of a folder"),
    "store": (str | None, "the URL of a database, as 'sqlite:///FILE.db'"),
    "artifacts": (str | Path | None, "the path of a folder"),
    "name": (str | None, "the name of the run as text"),
    "objectives": (Iterable | None, "a list of names, as ['accuracy']"),
}


def check_types(**given: object) -> None:
    """Raise UsageError for the first argument of another type."""
    for name, value in given.items():
        kind, needed = _TYPES[name]
        is_loose_text = name == "objectives" and isinstance(value, str)
        if is_loose_text or not isinstance(value, kind):
            raise UsageError(f"{name} = {in_short(value)}; needed: {needed}")
