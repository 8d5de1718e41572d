"""The energy models by name: in Python, as TOML files in ``chips``, or third-party.

A third-party model is an `EnergyModel` that an installed package declares in the entry-point group
``spikenas.energy_models``, or a constant of a module, ``my_lab.energy:MODEL``. Workers, and later
processes, find it by that name.
"""

import sys
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path

from spikenas import shipped
from spikenas.exceptions import UnknownNameError, UsageError, in_short
from spikenas.hardware.energy import cmos45, memory_aware
from spikenas.hardware.energy.chip_events import ChipEvents
from spikenas.hardware.energy.model import EnergyModel, Unit
from spikenas.installed import load, module_of, offered, told
from spikenas.plugins import import_plugins

GROUP = "spikenas.energy_models"
_FOLDER = files("spikenas.hardware.energy") / "chips"


def energy_models(unit: Unit | None = None) -> list[str]:
    """Return the names of the built-in models: the default, others in joules, then scores."""
    models = _models().values()
    ranked = sorted(models, key=lambda m: (m.unit != "joules", m.name != "cmos45", m.name))
    return [model.name for model in ranked if unit in (None, model.unit)]


def energy_model(
    name_or_path: str | Path | EnergyModel, toml: str | None = None, *, allow_plugins: bool = False
) -> EnergyModel:
    """Return a model by name, or the user's own chip by a path ending in ``.toml``.

    A model is returned unchanged. ``toml`` is the text of a file that was kept with a run; then
    no file is read. ``module:NAME`` is a constant of a module that has already been imported, or
    is imported now if ``allow_plugins`` says so.
    """
    if isinstance(name_or_path, EnergyModel):
        return name_or_path
    name = shipped.name_of("energy model", name_or_path)
    if toml is None and name.endswith(".toml"):
        toml = shipped.read_file(name)
    if toml is not None:
        return replace(ChipEvents.from_toml(toml, source=name), toml=toml)
    if ":" in name:
        return _constant(name, allow_plugins=allow_plugins)
    if name in _models():
        return _models()[name]
    if name in offered(GROUP):
        return _installed(name)
    hint = "To price a chip of your own, give the path of its file ending in .toml"
    raise UnknownNameError("energy model", name, [*_models(), *offered(GROUP)], hint=hint)


def name_of(model: EnergyModel) -> str:
    """Return the name by which another process finds a model; raises UsageError without one."""
    if model.toml is not None or _models().get(model.name) is model:
        return model.name
    for name in offered(GROUP):
        if model.name == name and _installed(name) is model:
            return name
    module = type(model).__module__
    for constant, value in vars(sys.modules[module]).items():
        if value is model and module != "__main__":
            return f"{module}:{constant}"
    raise UsageError(
        f"energy model {model.name!r} cannot be found by another process: read it from FILE.toml "
        "by energy_model('FILE.toml'), or make it a constant of the module that has its class, "
        "MODEL = ..., in a file that can be imported"
    )


def module_of_model(name: str) -> str | None:
    """Return the third-party module that has the model of this name; None for built-in models."""
    if ":" in name:
        return name.partition(":")[0]
    is_theirs = name in offered(GROUP) and name not in _models()
    return module_of(offered(GROUP)[name]) if is_theirs else None


def _constant(name: str, *, allow_plugins: bool) -> EnergyModel:
    module, _, constant = name.partition(":")
    if module not in sys.modules:
        import_plugins([module], of=f"energy model {name!r}", is_allowed=allow_plugins)
    found = getattr(sys.modules[module], constant, None)
    if not isinstance(found, EnergyModel):
        raise UsageError(f"{name}: needed: an EnergyModel of that module, found {in_short(found)}")
    return found


@cache
def _installed(name: str) -> EnergyModel:
    entry = offered(GROUP)[name]
    found = load(entry)
    if not isinstance(found, EnergyModel):
        raise UsageError(f"{told(entry)} gives {in_short(found)}; needed: an EnergyModel")
    if found.name != name and found.toml is None:  # workers could not find it by its own name
        raise UsageError(f"{told(entry)} gives a model named {found.name!r}; give both one name")
    return found


@cache
def _models() -> dict[str, EnergyModel]:
    chips = [
        ChipEvents.from_toml(shipped.read_from(_FOLDER, "chip", name), source=f"energy of {name}")
        for name in shipped.names_in(_FOLDER)
    ]
    return {model.name: model for model in (cmos45.MODEL, memory_aware.MODEL, *chips)}
