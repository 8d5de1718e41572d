"""The genes, which a space can leave open, and the values that each can take.

A value is validated by building a small architecture with it, so that types and ranges are only
defined in `spikenas.architecture`. The options of components (``scale`` of ssa) are genes too.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, replace
from functools import cache
from typing import Any, Literal

from spikenas import registry
from spikenas.architecture import MAX_STAGES, Architecture, Halting, InputSpec, Stage
from spikenas.exceptions import ArchitectureError
from spikenas.registry import Component, Family, Option

Level = Literal["network", "stage"]
Value = Option
GENES: Mapping[Level, tuple[str, ...]] = {
    "network": (
        "num_stages",
        "num_steps",
        "neuron",
        "tau",
        "v_threshold",
        "residual",
        "stem",
        "patch_size",
        "head",
        "halting",
        "halting_threshold",
        "ponder_cost",
    ),
    "stage": ("embed_dim", "depth", "mixer", "num_heads", "mlp_ratio", "downsampling"),
}
FAMILIES: Mapping[Level, tuple[Family, ...]] = {
    "network": ("neuron", "stem", "head", "halting"),
    "stage": ("mixer", "downsampling"),
}
# The genes of `Halting`, each with its field.
HALTING: Mapping[str, str] = {"halting_threshold": "threshold", "ponder_cost": "ponder_cost"}
_READ_BY_COMPONENTS = ("tau", "num_heads", *HALTING)
DEFAULTS: Mapping[str, Value] = {
    "halting": "none",
    **{gene: getattr(Halting(), field) for gene, field in HALTING.items()},
    **{
        field.name: field.default
        for kind in (Architecture, Stage)
        for field in fields(kind)
        if field.default is not MISSING and isinstance(field.default, bool | int | float | str)
    },
}


def names(level: Level) -> tuple[str, ...]:
    """Return every gene of a level, with the options of its components last."""
    return (*GENES[level], *options(level))


def options(level: Level) -> dict[str, Option]:
    """Return the options of all components of a level, with one of their defaults."""
    return {name: value for each in components(level) for name, value in each.options.items()}


def components(
    level: Level, chosen: Callable[[Family], Iterable[object]] = registry.names
) -> list[Component]:
    """Return the ``chosen`` components of the families of a level, by default all of them."""
    return [
        registry.component(family, str(name))
        for family in FAMILIES[level]
        for name in chosen(family)
    ]


def is_read_by_components(level: Level, gene: str) -> bool:
    """Whether a gene is dead unless one of the chosen components reads it."""
    return gene in _READ_BY_COMPONENTS or gene in options(level)


def reads(components: Iterable[Component], gene: str) -> bool:
    """Whether one of the components reads the gene, or has it as an option."""
    return any(gene in component.genes or gene in component.options for component in components)


def option_defaults(components: Iterable[Component], gene: str) -> tuple[Value, ...]:
    """Return the distinct defaults of an option among the components that have it."""
    return tuple(dict.fromkeys(each.options[gene] for each in components if gene in each.options))


def parse(level: Level, gene: str, value: object) -> Value:
    """Return the canonical form of a value (2 is 2.0 for ``tau``).

    Raises ArchitectureError, whose text begins with ``gene =``, or UnknownNameError.
    """
    for family in FAMILIES[level]:
        if gene == family:
            return registry.component(family, str(value)).name
    if gene == "num_stages":
        return _num_stages(value)
    if gene in GENES[level]:
        return _validated(level, gene, value)
    reader = next(each for each in components(level) if gene in each.options)
    return registry.option_value(reader, gene, value)


def integer(value: object) -> int:
    """Return the value of an integer gene, for the type checker."""
    assert isinstance(value, int)
    return value


def _validated(level: Level, gene: str, value: Any) -> Value:
    if field := HALTING.get(gene):
        try:
            return getattr(Halting(**{field: value}), field)  # type: ignore[no-any-return]
        except ArchitectureError as error:  # it begins with the field
            raise ArchitectureError(str(error).replace(field, gene, 1)) from None
    valid: Architecture | Stage = _valid() if level == "network" else _valid().stages[0]
    return getattr(replace(valid, **{gene: value}), gene)  # type: ignore[no-any-return]


@cache
def _valid() -> Architecture:
    return Architecture(
        input=InputSpec(channels=1, height=64, width=64),
        num_classes=2,
        num_steps=1,
        neuron="lif",
        residual="none",
        stem="conv",
        patch_size=1,
        stages=(Stage(embed_dim=64, depth=1, mixer=("ssa",), num_heads=1),),
    )


def _num_stages(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_STAGES:
        raise ArchitectureError(
            f"num_stages = {value!r}; needed: an integer from 1 to {MAX_STAGES}"
        )
    return value
