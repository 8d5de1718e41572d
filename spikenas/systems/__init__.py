"""The published systems as architectures, such as ``spikformer-4-384-cifar10``.

A name is ``<system>-<depth>-<width>-<dataset>``. `PUBLISHED` has the configurations that papers
report, with their figures; any other depth and width of a system can be named too. There is one
file per system: how its variants are built, and how its official checkpoints are read.
"""

import re
from types import ModuleType

from spikenas.architecture import Architecture
from spikenas.exceptions import ArchitectureError, UnknownNameError, UsageError
from spikenas.systems import msvit, qkformer, sdt, spikformer, stmixer
from spikenas.systems.figures import PUBLISHED, PublishedSystem
from spikenas.systems.preprocessing import released_preprocessing
from spikenas.systems.variant import DATASETS, VARIANTS, Setting, Variant, input_of, setting_of

SYSTEMS: dict[str, ModuleType] = {
    "msvit": msvit,
    "qkformer": qkformer,
    "sdt": sdt,
    "spikformer": spikformer,
    "stmixer": stmixer,
}
_NAME = re.compile(r"([a-z]+)-([1-9]\d{0,2})-([1-9]\d{0,4})-([a-z0-9]+)")


def published_names() -> list[str]:
    """Return the configurations that papers report, in the order of the table."""
    return list(PUBLISHED)


def published(name: str, *, num_heads: int | None = None) -> Architecture:
    """Return a published system as an architecture.

    Args:
        name: ``<system>-<depth>-<width>-<dataset>``, for any depth and width.
        num_heads: overrides the published number; needed for widths without one.

    Raises UnknownNameError, UsageError if the number of heads is missing, or ArchitectureError if
    the genes contradict each other.
    """
    system, depth, width, dataset = _parsed(name)
    family = SYSTEMS[system]
    setting = setting_of(system, dataset)
    heads = num_heads if num_heads is not None else family.published_heads(setting, width)
    if heads is None:
        raise UsageError(
            f"{name}: no source says how many heads width {width} has; give num_heads=, "
            f"one of {', '.join(map(str, divisors(width)))} "
            f"(in Python: spikenas.published({name!r}, num_heads=...))"
        )
    try:
        architecture: Architecture = family.published(setting, depth, width, heads)
    except ArchitectureError as error:
        raise ArchitectureError(f"{name}: {error}") from None
    return architecture


def divisors(width: int) -> list[int]:
    """Return the numbers of heads, up to 64, that divide a width."""
    return [heads for heads in range(1, min(width, 64) + 1) if width % heads == 0]


def _parsed(name: str) -> tuple[str, int, int, str]:
    match = _NAME.fullmatch(name)
    if not match or match[1] not in SYSTEMS or match[4] not in DATASETS:
        hint = "STAS has no released code: take halting = 'act' on a spikformer or sdt. "
        raise UnknownNameError(
            "published system",
            name,
            PUBLISHED,
            hint=f"{hint if name.startswith('stas') else ''}"
            "A name is <system>-<depth>-<width>-<dataset>, with any depth and width, "
            f"a system of {', '.join(SYSTEMS)} and a dataset of {', '.join(DATASETS)}",
        )
    return match[1], int(match[2]), int(match[3]), match[4]


__all__ = [
    "PUBLISHED",
    "SYSTEMS",
    "VARIANTS",
    "PublishedSystem",
    "Setting",
    "Variant",
    "divisors",
    "input_of",
    "published",
    "published_names",
    "released_preprocessing",
    "setting_of",
]
