"""The exceptions of spikenas.

::

    SpikeNASError
    |- UsageError            invalid or contradictory arguments (2)
    |  |- UnknownNameError   no such space, chip, component, recipe ...; suggests the closest name
    |  |- SpecError          a TOML or JSON file is invalid (names file and key)
    |  |- ArchitectureError  genes that contradict each other (names the gene)
    |  |- DataError          a data set is missing, truncated or has another shape
    |  |- ClusterError       there is no Ray cluster at the given address
    |- NotFoundError         no such run or candidate (3)
    |- StoreError            the database is unavailable, foreign or has another version (4)
    |  |- LeaseError         another live driver holds the run, or took it over
    |- MachineError          disk, memory or permissions stopped a search, which can be resumed (4)
    |- ArtefactError         a damaged or foreign export (5)
    |- BudgetError           the budget ended without a successful candidate (6)
    |- InfeasibleError       does not fit the chip, or the format cannot express it (7)
    |- DivergedError         the loss became non-finite in training; never a result

The numbers are the exit codes of the commands.
"""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import PurePath


class SpikeNASError(Exception):
    """The base of every error that spikenas raises on purpose."""


class UsageError(SpikeNASError, ValueError):
    """The arguments are invalid or contradict each other."""


class UnknownNameError(UsageError, LookupError):
    """An unknown name; the message gives the closest match and all known names."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name, self.known, self.hint = kind, name, sorted(known), hint
        if isinstance(name, str):
            what = f"no {kind} is named {name!r}{did_you_mean(name, self.known)}"
        else:
            what = f"a {kind} is named by text, not by {in_short(name)}"
        super().__init__(
            f"{what}; known: {', '.join(self.known) or 'none'}{'. ' + hint if hint else ''}"
        )


class SpecError(UsageError):
    """A file written by the user is invalid."""


class ArchitectureError(UsageError):
    """Genes that contradict each other."""


class DataError(UsageError):
    """A data set is missing, truncated or has another shape."""


class ClusterError(UsageError):
    """No Ray cluster answers at the given address."""


class NotFoundError(SpikeNASError, LookupError):
    """No such run or candidate in the store."""


class StoreError(SpikeNASError):
    """The database cannot be used as it is."""


class LeaseError(StoreError):
    """Another live driver holds the run, or took it over."""


class MachineError(SpikeNASError):
    """Disk, memory or permissions of a machine stopped a search, which can be resumed."""


class ArtefactError(SpikeNASError):
    """An export has files that are damaged, missing or different from their record."""


class BudgetError(SpikeNASError):
    """The budget ended without a successful candidate."""


class InfeasibleError(SpikeNASError):
    """The architecture does not fit the chip, or the format cannot express it."""


class DivergedError(SpikeNASError):
    """The loss became non-finite in training."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the known name closest to ``name``, or an empty text."""
    nearest = get_close_matches(name, list(known), n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def in_short(value: object) -> str:
    """Return a value as shown in errors: short ones in full, others by type and shape."""
    if value is None or isinstance(value, bool | int | float | str | PurePath):
        text = repr(value)
        return text if len(text) <= 80 else f"{text[:77]}..."
    kind = type(value).__name__
    a_kind = f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"
    if isinstance(value, tuple | list) and value:
        more = ", ..." * (len(value) > 3)
        return f"{a_kind} of {', '.join(in_short(each) for each in value[:3])}{more}"
    if callable(value) and hasattr(value, "__name__"):
        return f"the {kind} {value.__name__}"
    shape = getattr(value, "shape", None)
    return a_kind if shape is None else f"{a_kind} of shape {list(shape)}"


def shown(path: str | PurePath) -> str:
    """Return a path as text, with bytes that are not UTF-8 escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def told_apart(found: float, limit: float) -> str:
    """Return a figure with enough decimals to differ from a limit: no ``needs 0.0, has 0.0``."""
    for decimals in range(1, 17):
        shown = f"{found:,.{decimals}f}"
        rounded = float(shown.replace(",", ""))
        if (rounded > limit, rounded < limit) == (found > limit, found < limit):
            return shown
    return repr(found)
