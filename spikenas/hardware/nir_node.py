"""`NirNode`: one node of a NIR file, each field checked when it is read."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, NoReturn

import h5py
import numpy as np

from spikenas.exceptions import SpecError
from spikenas.hardware.layers import Pair


class NirNode:
    """One node; error messages name the file and the node."""

    def __init__(self, group: object, name: str, path: str) -> None:
        if not isinstance(group, h5py.Group):
            raise SpecError(f"{path}: node {name!r} is no group of fields")
        self._group, self.name, self._path = group, name, path
        self.kind = text(group.get("type"))

    def refuse(self, complaint: str) -> NoReturn:
        """Raise SpecError with the file and the node in front."""
        raise SpecError(f"{self._path}: node {self.name!r} ({self.kind}): {complaint}")

    def has(self, name: str) -> bool:
        """Whether the node has a field."""
        return name in self._group

    def text(self, name: str) -> str:
        """Return a field as text."""
        return text(self._field(name))

    def shape(self, name: str, *, dimensions: int | None = None) -> tuple[int, ...]:
        """Return the shape of an array without reading its numbers."""
        shape = self._field(name).shape
        if shape is None or 0 in shape or dimensions not in (None, len(shape)):
            needed = "numbers" if dimensions is None else f"{dimensions} axes"
            self.refuse(f"{name} of shape {shape}; needed: {needed}")
        return tuple(shape)

    def numbers(self, name: str) -> np.ndarray:
        """Return an array of at least one real number."""
        found = np.asarray(self._field(name)[()])
        if found.dtype.kind not in "iuf" or not found.size:
            self.refuse(f"{name} is no array of numbers")
        return found

    def counts(self, name: str, *, least: int) -> tuple[int, ...]:
        """Return whole numbers from ``least``."""
        found = self.numbers(name).reshape(-1)
        if not all(isfinite(n) and n == int(n) and n >= least for n in found.tolist()):
            self.refuse(f"{name} = {found.tolist()}; needed: whole numbers from {least}")
        return tuple(int(n) for n in found)

    def count(self, name: str, *, least: int) -> int:
        """Return one whole number from ``least``."""
        found = self.counts(name, least=least)
        if len(found) != 1:
            self.refuse(f"{name} = {list(found)}; needed: one number")
        return found[0]

    def pair(self, name: str, *, least: int = 1) -> Pair:
        """Return (vertical, horizontal), from two whole numbers or one for both axes."""
        found = self.counts(name, least=least)
        if len(found) not in (1, 2):
            self.refuse(f"{name} = {list(found)}; needed: one number, or two")
        return found[0], found[-1]

    def biases(self, count: int) -> int:
        """Return ``count``, or 0 if all biases are zero."""
        return count if self.kind != "Linear" and np.any(self.numbers("bias")) else 0

    def _field(self, name: str) -> h5py.Dataset:
        found = self._group.get(name)
        if not isinstance(found, h5py.Dataset):
            self.refuse(f"{name} is missing")
        return found


def is_graph(group: object) -> bool:
    """Whether a part of a file is a graph of nodes and edges."""
    return (
        isinstance(group, h5py.Group)
        and text(group.get("type")) == "NIRGraph"
        and isinstance(group.get("nodes"), h5py.Group)
        and isinstance(group.get("edges"), h5py.Dataset)
    )


def metadata_of(graph: h5py.Group) -> Mapping[str, Any]:
    """Return the metadata of a file that spikenas wrote."""
    group = graph.get("metadata")
    if not isinstance(group, h5py.Group) or text(group.get("writer")) != "spikenas":
        return {}
    values = {name: found[()] for name, found in group.items() if isinstance(found, h5py.Dataset)}
    return {name: text(v) if isinstance(v, bytes) else v for name, v in values.items()}


def text(found: Any) -> str:
    """Return a data set, or one of its elements, as text."""
    value = found[()] if isinstance(found, h5py.Dataset) else found
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def listed(shape: tuple[int, ...]) -> str:
    """Write a shape as 16x8x8."""
    return "x".join(map(str, shape)) or "one number"
