"""Figures as text: values with their unit and their significant digits."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from spikenas.figures import FIGURES, Figure

if TYPE_CHECKING:
    from spikenas.hardware import EnergyEstimate

Member = TypeVar("Member")
_UNITS_UJ = ((1e6, "J"), (1e3, "mJ"), (1.0, "µJ"), (1e-3, "nJ"), (0.0, "pJ"))


def text(name: str, value: float | None) -> str:
    """Return the value as a table shows it; a dash for None."""
    if value is None:
        return "-"
    unit = FIGURES[name].unit
    if unit == "%":
        return f"{100 * value:.1f} %"
    return {"µJ": energy, "": count}.get(unit, "{:g}".format)(value)


def columns(objectives: Sequence[str]) -> list[Figure]:
    """Return the figures that are columns of a table of candidates."""
    return [f for name, f in FIGURES.items() if f.heading or name in objectives]


def energy(microjoules: float) -> str:
    """Return an energy with its unit: ``8.02 pJ``, ``412 nJ``, ``11.6 mJ``."""
    if microjoules == 0:
        return "0 J"
    scale, unit = energy_unit(microjoules)
    return f"{microjoules * scale:#.3g}".rstrip(".") + f" {unit}"


def energy_unit(microjoules: float) -> tuple[float, str]:
    """Return the unit in which the energy is 1 to 999, preceded by its number per microjoule."""
    rounded = float(f"{microjoules:.3g}")  # 999.9 nJ are 1.00 µJ
    size, unit = next((size, unit) for size, unit in _UNITS_UJ if rounded >= size)
    return 1 / (size or 1e-6), unit


def energy_range(low: float, high: float) -> str:
    """Return both ends, with one unit if they share it: ``2.3 to 2.5 µJ``."""
    ends, last = energy(low), energy(high)
    if ends == last:
        return last
    number, unit = ends.split(" ")
    return f"{number if last.endswith(' ' + unit) else ends} to {last}"


def energy_text(estimate: "EnergyEstimate") -> str:
    """Return the energy of an inference: a value, a range, or a score without joules."""
    if estimate.total_uj is None or estimate.low_uj is None:
        return f"{count(estimate.score or 0.0)} chip operations, no joules,"
    return energy_range(estimate.low_uj, estimate.total_uj)


def count(value: float) -> str:
    """Return a large number with its unit: ``9.32M``, ``48.5k``."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return a duration like a clock: ``0:42``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def spread(members: Sequence[Member], limit: int | None) -> Sequence[Member]:
    """Return at most ``limit`` evenly spaced members, with the first and the last."""
    if limit is None or len(members) <= limit:
        return members
    if limit == 1:
        return members[:1]
    return [members[round(i * (len(members) - 1) / (limit - 1))] for i in range(limit)]


def genes(genotype: Mapping[str, Any]) -> str:
    """Return an architecture's JSON form on one line: ``T4 lif spike sps/4 > 2x64 ssa:4 mlp2``.

    Works without the registry, so that components of plugins that are not imported can be shown.
    """
    parts = [
        f"T{genotype['num_steps']}",
        genotype["neuron"],
        genotype["residual"],
        f"{genotype['stem']}/{genotype['patch_size']}",
    ]
    if genotype["head"] != "mean_linear":
        parts.append(genotype["head"])
    return " > ".join([" ".join(parts), *map(_stage, genotype["stages"])])


def _stage(stage: Mapping[str, Any]) -> str:
    mixers = [stage["mixer"]] if isinstance(stage["mixer"], str) else stage["mixer"]
    heads = f":{stage['num_heads']}" if "num_heads" in stage else ""
    mlp = f" mlp{stage['mlp_ratio']:g}" if stage["mlp_ratio"] else ""
    return f"{stage['depth']}x{stage['embed_dim']} {'+'.join(dict.fromkeys(mixers))}{heads}{mlp}"
