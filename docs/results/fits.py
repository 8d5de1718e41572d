"""How large a part of each shipped search space fits each chip, as a table and a heat map.

    python docs/results/fits.py [--members 1000] [--plot fits.png]

A member fits when the chip's verdict has no violation; warnings, of soft limits, refuse nothing.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from spikenas import shipped
from spikenas.hardware import check, chip, chips
from spikenas.measurement import trace_architecture
from spikenas.search_space import SearchSpace

Counts = Mapping[str, int]


def fitting(space_name: str, *, members: int) -> dict[str, int]:
    """Return by chip how many of the members drawn with seeds 0, 1, ... fit."""
    space = SearchSpace.load(space_name)
    profiles = {name: chip(name) for name in chips()}
    counts = dict.fromkeys(profiles, 0)
    for seed in range(members):
        workload = trace_architecture(space.sample(seed))
        for name, profile in profiles.items():
            counts[name] += check(workload, profile).fits
    return counts


def table(found: Mapping[str, Counts], *, members: int) -> list[str]:
    """Return the rows of a Markdown table, in percent."""
    names = list(next(iter(found.values())))
    rows = ["| space | " + " | ".join(f"`{name}`" for name in names) + " |"]
    rows.append("|---" * (len(names) + 1) + "|")
    for space, counts in found.items():
        cells = " | ".join(_percent(counts[name], members) for name in names)
        rows.append(f"| `{space}` | {cells} |")
    return rows


def plot(found: Mapping[str, Counts], path: Path, *, members: int) -> None:
    """Draw spaces down, chips across."""
    spaces, names = list(found), list(next(iter(found.values())))
    parts = [[100 * found[space][name] / members for name in names] for space in spaces]
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(parts, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(spaces)), spaces)
    for row, space in enumerate(spaces):
        for column, name in enumerate(names):
            shade = "white" if parts[row][column] > 60 else "black"
            text = _percent(found[space][name], members)
            axes.text(column, row, text, color=shade, ha="center", va="center", fontsize=8)
    axes.set_title(f"Members that fit, % of {members:,} drawn")
    axes.set_ylabel("search space")
    figure.savefig(path, dpi=150)


def _percent(count: int, members: int) -> str:
    """Few are not none: those have a digit more."""
    percent = 100 * count / members
    return f"{percent:.1f}" if 0 < percent < 1 or 99 < percent < 100 else f"{percent:.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Count and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--plot", type=Path)
    told = parser.parse_args(arguments)
    names = shipped.names("search_spaces")
    found = {name: fitting(name, members=told.members) for name in names}
    print("\n".join(table(found, members=told.members)))
    if told.plot:
        plot(found, told.plot, members=told.members)


if __name__ == "__main__":
    main()
