"""The energy models by name: those in Python, and one a TOML file in ``chips``."""

from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path

from spikenas import shipped
from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.hardware.energy import cmos45, memory_aware
from spikenas.hardware.energy.chip_events import ChipEvents
from spikenas.hardware.energy.model import EnergyModel, Unit

_FOLDER = files("spikenas.hardware.energy") / "chips"


def energy_models(unit: Unit | None = None) -> list[str]:
    """Return the names of the models: first those that give joules, the default in front."""
    models = _models().values()
    ranked = sorted(models, key=lambda m: (m.unit != "joules", m.name != "cmos45", m.name))
    return [model.name for model in ranked if unit in (None, model.unit)]


def energy_model(name_or_path: str | Path | EnergyModel, toml: str | None = None) -> EnergyModel:
    """Return a model by name, or a chip of the user's own by a path ending in ``.toml``.

    A model that this returned is returned as it is; of another no text could be kept with a run.
    ``toml`` is the text of such a file where it was kept with a run; nothing is read then.
    """
    if isinstance(name_or_path, EnergyModel):
        if name_or_path.toml is None and name_or_path is not _models().get(name_or_path.name):
            raise UsageError(
                f"energy model {name_or_path.name!r} was not read from a file, whose text a run "
                "keeps; write it as FILE.toml and read it by energy_model('FILE.toml')"
            )
        return name_or_path
    name = shipped.name_of("energy model", name_or_path)
    if toml is None and name.endswith(".toml"):
        toml = shipped.read_file(name)
    if toml is not None:
        return replace(ChipEvents.from_toml(toml, source=name), toml=toml)
    if name not in _models():
        hint = "To price a chip of your own, give the path of its file ending in .toml"
        raise UnknownNameError("energy model", name, _models(), hint=hint)
    return _models()[name]


@cache
def _models() -> dict[str, EnergyModel]:
    chips = [
        ChipEvents.from_toml(file.read_text(encoding="utf-8"), source=f"energy of {file.name}")
        for file in _FOLDER.iterdir()
        if file.name.endswith(".toml")
    ]
    return {model.name: model for model in (cmos45.MODEL, memory_aware.MODEL, *chips)}
