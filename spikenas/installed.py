"""What installed packages offer: found by entry points, imported only when its name is asked for.

Names and modules are read from the packages' metadata, which runs none of their code. Where the
text of a run asks for a name, and not the user, `spikenas.plugins` wants consent first.

| group | what it names |
|---|---|
| ``spikenas.data_sets`` | a `spikenas.data.DataSource` |
| ``spikenas.energy_models`` | a `spikenas.EnergyModel` |
| ``spikenas.export_formats`` | a `spikenas.export.formats.ExportFormat` |
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from spikenas.exceptions import SpikeNASError, UsageError


def offered(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name; of equal names the first found."""
    return _offered(group, tuple(sys.path))


def module_of(entry: EntryPoint) -> str:
    """Return the module that an entry point would import."""
    return entry.value.partition(":")[0].strip()


def told(entry: EntryPoint) -> str:
    """Return an entry point as messages name it."""
    package = f" of {entry.dist.name} {entry.dist.version}" if entry.dist else ""
    return f"the entry point {entry.name} = {entry.value!r}{package}"


def load(entry: EntryPoint, error: type[SpikeNASError] = UsageError) -> Any:
    """Import what an entry point names, and make one of it where it is a class."""
    with blamed(entry, "cannot be loaded", error):
        found = entry.load()
        return found() if isinstance(found, type) else found


@contextmanager
def blamed(entry: EntryPoint, what: str, error: type[SpikeNASError] = UsageError) -> Iterator[None]:
    """Name the entry point of whatever its code raises; what the machine does is left."""
    try:
        yield
    except (SpikeNASError, OSError, MemoryError):
        raise
    except (Exception, SystemExit) as cause:
        raise error(
            f"{told(entry)} {what}: {type(cause).__name__}: {cause}; mend or uninstall that package"
        ) from cause


@lru_cache(maxsize=16)
def _offered(group: str, _path: tuple[str, ...]) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        found.setdefault(entry.name, entry)
    return found
