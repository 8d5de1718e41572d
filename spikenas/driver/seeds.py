"""Seeds: architectures that a search proposes first, each as the nearest member of the space."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from spikenas.architecture import Architecture
from spikenas.exceptions import UsageError, in_short
from spikenas.search_space import SearchSpace
from spikenas.settings import Seed
from spikenas.systems import published

_log = logging.getLogger(__name__)
SeedWith = Sequence[str | Architecture] | Mapping[str, Architecture]


def seeds(space: SearchSpace, seed_with: SeedWith) -> tuple[Seed, ...]:
    """Return the members of a space to begin with, and log what had to be changed.

    Args:
        space: with its images.
        seed_with: published names or architectures, or architectures by a name to tell.

    Raises:
        UsageError: the space has no component of a seed.
    """
    found: dict[str, Seed] = {}
    for name, wanted in _named(seed_with).items():
        member = space.nearest(wanted)
        changes = list(_changes(_genes(wanted), _genes(member)))
        if not _components(wanted) & _components(member):
            raise UsageError(
                f"seed {name}: nothing of it is in space {space.name!r}, whose nearest member "
                f"differs in every component: {', '.join(changes)}; take another seed or space"
            )
        if member.key in found:
            _log.warning("seed %s: its nearest member is that of %s", name, found[member.key].name)
            continue
        if changes:
            _log.warning(
                "seed %s is not in space %r; its nearest member %s has %s",
                name,
                space.name,
                member.id,
                ", ".join(changes),
            )
        found[member.key] = Seed(name=name, genes=member.to_dict())
    return tuple(found.values())


def _named(seed_with: SeedWith) -> dict[str, Architecture]:
    if isinstance(seed_with, Mapping):
        return dict(seed_with)
    if isinstance(seed_with, str) or not isinstance(seed_with, Iterable):
        raise UsageError(
            f"seed_with = {in_short(seed_with)}; needed: a list of published names or architectures"
        )
    named: dict[str, Architecture] = {}
    for each in seed_with:
        if isinstance(each, str):
            named[each] = published(each)
        elif isinstance(each, Architecture):
            named[each.id] = each
        else:
            raise UsageError(f"a seed is a published name or an Architecture, not {in_short(each)}")
    return named


def _components(architecture: Architecture) -> set[tuple[str, str]]:
    """Return what an architecture is made of, whatever its sizes."""
    return {
        ("neuron", architecture.neuron),
        ("residual", architecture.residual),
        ("stem", architecture.stem),
        *(("mixer", mixer) for stage in architecture.stages for mixer in stage.mixer),
    }


def _changes(wanted: Any, member: Any, place: str = "") -> Iterator[str]:
    """Say where two JSON forms differ: ``num_steps 4 -> 2``."""
    if not place.endswith("]"):  # a stage that one of them lacks is one change
        wanted = {} if wanted is None and isinstance(member, Mapping) else wanted
        member = {} if member is None and isinstance(wanted, Mapping) else member
    if isinstance(wanted, Mapping) and isinstance(member, Mapping):
        for name in dict.fromkeys((*wanted, *member)):
            inner = f"{place}.{name}" if place else str(name)
            yield from _changes(wanted.get(name), member.get(name), inner)
    elif _are_tables(wanted) and _are_tables(member):
        for i in range(max(len(wanted), len(member))):
            old, new = (each[i] if i < len(each) else None for each in (wanted, member))
            yield from _changes(old, new, f"{place}[{i}]")
    elif wanted != member:
        absent = "default" if "options." in place else "none"
        yield f"{place} {_text(wanted, absent)} -> {_text(member, absent)}"


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _text(value: Any, absent: str) -> str:
    if isinstance(value, Mapping):
        return " ".join(str(v) for v in value.values() if not isinstance(v, Mapping))
    return absent if value is None else str(value)


def _genes(architecture: Architecture) -> dict[str, Any]:
    """Return the JSON form with the images on one line."""
    images = architecture.input
    size = f"{images.channels}x{images.height}x{images.width} {images.kind}"
    return {**architecture.to_dict(), "input": size}
