"""What `search` takes: checked by type, and made into objects where it was given by name.

Python's own errors would not say which argument is meant.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypedDict

from spikenas import data as data_sets
from spikenas.data import Binning, Data, DataSpec
from spikenas.data.spec import OUR_NAMES
from spikenas.distributed import WorkerPool, open_pool
from spikenas.exceptions import UsageError, did_you_mean, in_short
from spikenas.hardware import EnergyModel, energy_models, name_of
from spikenas.hardware import energy_model as load_energy_model
from spikenas.search_space import SearchSpace
from spikenas.settings import Limits
from spikenas.store import Store
from spikenas.worker_profile import WorkerProfile, load_profile

_DATA_OF_SPACE = {"toy": "digits"}


class Changes(TypedDict, total=False):
    """Fields of what `search` takes, for whoever gives that by name; None changes nothing.

    ``data_root``, ``image_size``, ``train_subset``, ``validation_fraction``, ``split_seed`` and
    ``binning`` are of `DataSpec` (events are binned into as many frames as a candidate has steps),
    ``epochs`` and ``batch_size`` of `Recipe`,
    ``num_workers`` of `WorkerProfile`, ``max_parameters``, ``max_memory_gib`` and ``bounds``, as
    ``{"energy_uj": 1.0, "accuracy": 0.9}``, of `Limits`.
    ``artifacts`` is the folder of the weights, of `Store.open`.
    """

    data_root: str | Path | None
    image_size: int | None
    train_subset: int | None
    binning: Binning | None
    validation_fraction: float | None
    split_seed: int | None
    epochs: int | None
    batch_size: int | None
    num_workers: int | None
    max_parameters: int | None
    max_memory_gib: float | None
    bounds: Mapping[str, float] | None
    artifacts: str | Path | None


_TYPES: dict[str, tuple[Any, str]] = {
    "data_root": (str | Path | None, "the path of a folder"),
    "store": (str | Store | None, "the URL of a database, as 'sqlite:///FILE.db', or a Store"),
    "artifacts": (str | Path | None, "the path of a folder"),
    "name": (str | None, "the name of the run as text"),
    "objectives": (Iterable, "a list of names, as ['accuracy']"),
    "workers": (WorkerPool | None, "a WorkerPool; else the run has its own workers"),
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


def data_spec(data: Data | None, space: SearchSpace, changes: dict[str, Any]) -> DataSpec:
    """Return the data set, with the fields that were given beside it."""
    data = _data_of(space) if data is None else data
    if "root" in changes:
        changes["root"] = str(Path(changes["root"]).expanduser().absolute())
    return data_sets.data_spec(data, **changes)


def energy_model_of(
    model: str | Path | EnergyModel, *, allow_plugins: bool
) -> tuple[EnergyModel, str]:
    """Return the energy model and its name; a model that gives no joules is refused."""
    found = load_energy_model(model, allow_plugins=allow_plugins)
    name = name_of(found)
    if found.unit != "joules":
        raise UsageError(
            f"energy model {name!r} gives no joules, as no figure of that chip is public; keep "
            "cmos45 and search with --objectives accuracy,synops, which that chip is scored by, or "
            f"take another: {', '.join(energy_models('joules'))}"
        )
    return found, name


def profile_of(
    workers: str | Path | WorkerProfile | WorkerPool, changes: dict[str, Any]
) -> WorkerProfile | None:
    """Return the profile of workers; None for a pool, which has its own."""
    if isinstance(workers, str | Path | WorkerProfile):
        return replace(load_profile(workers), **changes)
    if not isinstance(workers, WorkerPool) or isinstance(workers, type):
        raise UsageError(
            f"workers = {in_short(workers)}; needed: a name, a WorkerProfile or a WorkerPool, "
            "see spikenas.testing.WorkerPoolContract for what a pool promises"
        )
    if changes:
        raise UsageError("num_workers is of a worker profile, and workers is a pool; leave it out")
    return None


def pool_of(workers: object, profile: WorkerProfile | None) -> AbstractContextManager[WorkerPool]:
    """Return the pool that the caller gave and closes, else the profile's."""
    if isinstance(workers, WorkerPool):
        return nullcontext(workers)
    assert profile is not None
    return open_pool(profile)


def opened(
    store: str | Store | None, *, create: bool = True, artifacts: str | Path | None
) -> AbstractContextManager[Store]:
    """Return the store that the caller gave and closes, else the one at that URL."""
    if isinstance(store, Store):
        if artifacts is not None:
            raise UsageError(
                "artifacts is for a store by URL; open it by Store.open(url, artifacts=...)"
            )
        return nullcontext(store)
    return Store.open(store, create=create, artifacts=artifacts)


def _data_of(space: SearchSpace) -> str:
    name = _DATA_OF_SPACE.get(space.name, space.name)
    if name not in OUR_NAMES:  # no text of a space has a package imported
        raise UsageError(
            f"space {space.name!r} is not named for a data set of ours, so data must be given; "
            f"one of {', '.join(data_sets.names())}"
        )
    return name
