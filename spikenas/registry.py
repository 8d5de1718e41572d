"""The components that an architecture may name, as plain data.

The ``__init__`` of a family (``spikenas.nn.mixers``, ...) registers one `Component` each: its name,
the genes it reads, its structural rule, and the location of its class. The class is imported only
when a network is built, so search spaces, chips and the store know every component without torch.
Families are imported by name on first use, like plugins; nothing here depends on them.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from inspect import Parameter, signature
from math import isfinite
from typing import Any, Literal

from spikenas.code import note_registration
from spikenas.exceptions import (
    ArchitectureError,
    SpikeNASError,
    UnknownNameError,
    UsageError,
    did_you_mean,
    in_short,
)

Family = Literal["neuron", "stem", "mixer", "downsampling", "head", "halting"]
Option = bool | int | float | str | tuple[int, ...]
_log = logging.getLogger(__name__)
_FAMILIES = ("neurons", "stems", "mixers", "downsampling", "heads", "halting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The context of a component in an architecture, for its structural rule."""

    embed_dim: int
    height: int  # of the map that enters, in pixels or tokens
    width: int
    num_steps: int
    residual: str
    num_heads: int | None = None
    depth: int | None = None  # blocks of the first stage; halting only
    patch_size: int | None = None  # stems only
    tau: float | None = None  # neurons only
    num_stages: int = 1
    input_kind: str = "frames"
    halting: bool = False
    options: Mapping[str, Option] = field(default_factory=dict)  # as given, without defaults


StructuralRule = Callable[[Site], str | None]
Check = Callable[[Any], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One member of a family.

    Attributes:
        target: ``module:Class``, imported when a network is built.
        source: the paper, with its equation.
        genes: the optional genes that it reads (``num_heads``, ``tau``); others are ignored.
        options: its own settings with their defaults, which are those of the constructor; default
            values do not change the key.
        checks: for an option, a function from a value to what is wrong and what is allowed, or
            None.
        structural_rule: a function from a `Site` to what is wrong and what would help, or None.
    """

    family: Family
    name: str
    target: str
    source: str
    genes: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    structural_rule: StructuralRule | None = None

    def complaint(self, site: Site, where: str) -> str | None:
        """Return why the component cannot be used here, beginning with ``where``, or None.

        Raises UsageError if the rule of a plugin fails.
        """
        found = self._asked("structural rule", self.structural_rule, site)
        return found and f"{where} = {self.name!r}: {found}"

    def load(self) -> Any:
        """Import and return the class; UsageError if its options are not those registered."""
        module, _, attribute = self.target.partition(":")
        found = getattr(import_module(module), attribute)
        for option, default in self.options.items():
            self._compare(option, default, _parameters(found).get(option))
        return found

    def _compare(self, option: str, default: Option, built: Parameter | None) -> None:
        """Refuse an option whose registered default is not what is built without it."""
        if built is None:
            have = "has no such argument"
        elif built.default is Parameter.empty:
            have = "has no default for it"
        elif built.default != default or type(built.default) is not type(default):
            have = f"has {in_short(built.default)}"
        else:
            return
        raise UsageError(
            f"{self.family} {self.name!r} is registered with option {option} = {default!r}, but "
            f"the constructor of {self.target} {have}; give both one default"
        )

    def _asked(
        self, what: str, function: Callable[[Any], str | None] | None, value: object
    ) -> str | None:
        """Return what a rule or check says; UsageError if that of a plugin fails."""
        if function is None:
            return None
        try:
            found = function(value)
        except SpikeNASError:
            raise
        except Exception as error:  # a plugin's may raise anything
            if function.__module__.startswith("spikenas."):
                raise
            fault = f"fails with {type(error).__name__}: {error}"
            raise self._blamed(what, function, fault) from error
        if found is not None and not isinstance(found, str):
            raise self._blamed(what, function, f"gives {in_short(found)}, needed: text or None")
        return found

    def _blamed(self, what: str, function: Callable[..., object], fault: str) -> UsageError:
        name = getattr(function, "__name__", type(function).__name__)
        return UsageError(
            f"the {what} of {self.family} {self.name!r}, {name} of module "
            f"{function.__module__!r}, {fault}; mend that module"
        )


def Operator(*, rule: StructuralRule | None = None, **facts: Any) -> Component:  # noqa: N802
    """Return a component from the keywords of spikenas 0.1, with a notice."""
    component = Component(structural_rule=rule, **facts)
    _log.warning(
        "%s %r: registry.Operator(rule=...) is now called Component(structural_rule=...)",
        component.family,
        component.name,
    )
    return component


_components: dict[tuple[Family, str], Component] = {}
_loaded = False


def register(*components: Component) -> None:
    """Add components; a second one of the same name is an error.

    An option that another component has with a different type or check is an error too, because
    an architecture gives all options of a network in one table.
    """
    note_registration(sys._getframe(1).f_globals["__name__"])  # its source must not change now
    for component in components:
        _register(component)


def _register(component: Component) -> None:
    for name, default in component.options.items():
        for other in _components.values():
            if name in other.options and (
                type(default) is not type(other.options[name])
                or component.checks.get(name) is not other.checks.get(name)
            ):
                raise UsageError(
                    f"option {name!r} of {component.family} {component.name!r} has another type or "
                    f"check than that of {other.family} {other.name!r}; rename it"
                )
    known = _components.setdefault((component.family, component.name), component)
    if known.target != component.target:
        raise UsageError(
            f"{component.family} {component.name!r} is registered twice: "
            f"{known.target} and {component.target}; rename one"
        )


def component(family: Family, name: str) -> Component:
    """Return a component by name, or raise UnknownNameError with the closest match."""
    _load_families()
    found = _components.get((family, name))
    if found is None:
        raise UnknownNameError(family, name, names(family))
    return found


def names(family: Family) -> list[str]:
    """Return the names of a family, sorted."""
    _load_families()
    return sorted(name for fam, name in _components if fam == family)


def option_value(component: Component, name: str, value: object, *, where: str = "") -> Option:
    """Return the value of an option in the type of its default, so that 1 and 1.0 are the same.

    Raises ArchitectureError, which begins with ``where`` and the name, if the type is wrong or the
    check of the component fails.
    """
    default = component.options[name]
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if isinstance(default, tuple) and isinstance(value, list):
        value = tuple(value)
    if not _is_like(value, default):
        raise ArchitectureError(f"{where}{name} = {value!r}; needed: {_WORDS[type(default)]}")
    complaint = component._asked(f"check of option {name}", component.checks.get(name), value)
    if complaint:
        raise ArchitectureError(f"{where}{name} = {value!r}; {complaint}")
    return value  # type: ignore[return-value]


_WORDS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "text in quotes",
    tuple: "a list of integers (as a choice of a space, in a list of its own: [[1, 3]])",
}


def _is_like(value: object, default: Option) -> bool:
    if isinstance(value, tuple):
        return isinstance(default, tuple) and all(type(each) is int for each in value)
    return type(value) is type(default) and not (isinstance(value, float) and not isfinite(value))


def positive(value: float) -> str | None:
    """Check a number that must be above 0."""
    return None if value > 0 else "it must be above 0"


def one_of(*allowed: str) -> Check:
    """Return a check that a value is one of ``allowed``."""

    def check(value: str) -> str | None:
        if value in allowed:
            return None
        return f"one of {', '.join(allowed)} is needed{did_you_mean(value, allowed)}"

    return check


@cache
def _parameters(built: Callable[..., object]) -> Mapping[str, Parameter]:
    return signature(built).parameters


def _load_families() -> None:
    global _loaded  # noqa: PLW0603  (imports happen once a process)
    if not _loaded:
        _loaded = True
        for family in _FAMILIES:
            import_module(f"spikenas.nn.{family}")
