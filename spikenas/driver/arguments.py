"""What `search` takes, by type, as Python's own errors would not say which argument is meant."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypedDict

from spikenas.data import Binning
from spikenas.exceptions import UsageError, did_you_mean, in_short
from spikenas.settings import Limits
from spikenas.store import Store


class Changes(TypedDict, total=False):
    """Fields of what `search` takes, for whoever gives that by name; None changes nothing.

    ``data_root``, ``image_size``, ``train_subset`` and ``binning`` are of `DataSpec` (events are
    binned into as many frames as a candidate has steps), ``epochs`` and ``batch_size`` of `Recipe`,
    ``num_workers`` of `WorkerProfile`, ``max_parameters`` and ``max_memory_gib`` of `Limits`.
    ``artifacts`` is the folder of the weights, of `Store.open`.
    """

    data_root: str | Path | None
    image_size: int | None
    train_subset: int | None
    binning: Binning | None
    epochs: int | None
    batch_size: int | None
    num_workers: int | None
    max_parameters: int | None
    max_memory_gib: float | None
    artifacts: str | Path | None


_TYPES: dict[str, tuple[Any, str]] = {
    "data_root": (str | Path | None, "the path of a folder"),
    "store": (str | Store | None, "the URL of a database, as 'sqlite:///FILE.db', or a Store"),
    "artifacts": (str | Path | None, "the path of a folder"),
    "name": (str | None, "the name of the run as text"),
    "objectives": (Iterable, "a list of names, as ['accuracy']"),
    "limits": (Limits | None, "spikenas.Limits(...)"),
}


def check_types(changes: Changes, **given: object) -> None:
    """Raise UsageError for the first argument of another type, or that there is not."""
    known = Changes.__annotations__
    for name in changes:
        if name not in known:
            raise UsageError(
                f"search has no argument {name!r}{did_you_mean(name, known)}; beside those of its "
                f"signature it has: {', '.join(known)}"
            )
    for name, value in {**given, **changes}.items():
        kind, needed = _TYPES.get(name, (object, ""))
        is_loose_text = name == "objectives" and isinstance(value, str)
        if is_loose_text or not isinstance(value, kind):
            raise UsageError(f"{name} = {in_short(value)}; needed: {needed}")


def taken(changes: Changes, of: type[Any]) -> dict[str, Any]:
    """Return the changes that are fields of a class, by the names of the fields."""
    given: Mapping[str, Any] = {**changes, "root": changes.get("data_root")}
    names = {field.name for field in fields(of)} - ({"batch_size"} if of is Limits else set())
    return {name: value for name, value in given.items() if name in names and value is not None}
