"""`Fields`: the keys of one layer in a file, each checked when it is read."""

from collections.abc import Collection, Mapping
from typing import Any, NoReturn, TypeVar

from spikenas.exceptions import SpecError, did_you_mean
from spikenas.hardware.layers import Pair

T = TypeVar("T")


class Fields:
    """One layer; error messages name the file and the index, ``layers[3]``."""

    def __init__(self, fields: Mapping[str, Any], place: str, index: int) -> None:
        self._fields, self._place, self.index = fields, place, index

    @classmethod
    def of(cls, given: object, source: str, index: int) -> "Fields":
        """Wrap a JSON value; raises SpecError if it is not an object."""
        place = f"{source}: layers[{index}]"
        if not isinstance(given, Mapping):
            raise SpecError(f"{place} = {given!r:.60}; needed: an object with op")
        return cls(given, place, index)

    def refuse(self, complaint: str) -> NoReturn:
        """Raise SpecError with the place in front."""
        op = self._fields.get("op")
        raise SpecError(f"{self._place}{f' ({op})' if isinstance(op, str) else ''}: {complaint}")

    def get(self, key: str, default: Any) -> Any:
        """Return the value of a key, unchecked."""
        return self._fields.get(key, default)

    def only(self, known: Collection[str]) -> None:
        """Refuse unknown keys."""
        for key in self._fields:
            if key not in known:
                listed = ", ".join(known)
                self.refuse(f"{key} is no key{did_you_mean(key, known)}; known: {listed}")

    def one_of(self, key: str, allowed: Collection[str]) -> str:
        """Return a string that must be one of ``allowed``."""
        given = self._fields.get(key)
        if not isinstance(given, str) or given not in allowed:
            what = "is missing"
            if given is not None:
                what = f"= {given!r} is unknown{did_you_mean(str(given), allowed)}"
            self.refuse(f"{key} {what}; known: {', '.join(allowed)}")
        return given

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return a boolean."""
        given = self._fields.get(key, default)
        if not isinstance(given, bool):
            self.refuse(f"{key} = {given!r}; needed: true or false")
        return given

    def count(self, key: str, *, default: int | None = None, least: int = 1) -> int:
        """Return a whole number from ``least``."""
        given = self._fields.get(key, default)
        if isinstance(given, bool) or not isinstance(given, int) or not least <= given < 2**31:
            what = "is missing" if given is None else f"= {given!r}"
            self.refuse(f"{key} {what}; needed: a whole number from {least}")
        return given

    def pair(self, key: str, *, default: Pair | None = None, least: int = 1) -> Pair:
        """Return (vertical, horizontal), given as a list or as one whole number for both axes."""
        given = self._fields.get(key, default)
        both = [given, given] if isinstance(given, int) else given
        if (
            isinstance(given, bool)
            or not isinstance(both, list | tuple)
            or len(both) != 2
            or any(isinstance(n, bool) or not isinstance(n, int) or n < least for n in both)
        ):
            what = "is missing" if given is None else f"= {given!r}"
            self.refuse(f"{key} {what}; needed: a whole number from {least}, or two in a list")
        return (both[0], both[1])

    def expect(self, key: str, given: int, have: int, noun: str) -> None:
        """Refuse a number that does not agree with the layer before."""
        if given != have:
            self.refuse(
                f"{key} = {given}, but the layer before gives {have} {noun}; make them agree"
            )
