"""The Pareto front, and where energy goes, as pictures: PNG for papers, HTML to look around in.

matplotlib and plotly are imported by the function that draws, as both cost a second.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikenas.evaluation import State
from spikenas.exceptions import NotFoundError, UsageError
from spikenas.figures import Figure, objective
from spikenas.report.figures import columns, energy_text, energy_unit, genes, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Page
    from matplotlib.transforms import Bbox

    from spikenas.hardware import Comparison, EnergyEstimate
    from spikenas.store import Candidate, Run

_LOG_SPAN = 5  # an axis that spans more is logarithmic
_MOST_LABELS = 12
# Left above a point and right below it: the steps of a front run through neither.
_LABEL_PLACES = (
    {"position": (-3, 4), "ha": "right", "va": "bottom"},
    {"position": (3, -4), "ha": "left", "va": "top"},
)
_PALE, _STRONG = "#b9c2cc", "#0b5cad"
_ENERGY = "energy_uj"
_COLOURS = (_STRONG, "#e08e2b", "#3a9e6e", "#a05195", "#d45087", "#8c6d4f", _PALE, "#444f5a")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """What both drawings show: the second objective across, the first one up."""

    title: str
    caption: str
    across: Figure
    up: Figure
    others: Sequence["Candidate"]
    front: Sequence["Candidate"]  # in the order of the across axis

    def points(self, candidates: Sequence["Candidate"]) -> tuple[list[float], list[float]]:
        return self._values(candidates, self.across), self._values(candidates, self.up)

    def is_log(self) -> bool:
        values = self._values([*self.others, *self.front], self.across)
        return min(values) > 0 and max(values) > _LOG_SPAN * min(values)

    def steps_after(self) -> bool:
        """Whether a point's height holds from it to the right: what a budget can buy."""
        return self.across.direction == "minimize"

    @staticmethod
    def _values(candidates: Sequence["Candidate"], figure: Figure) -> list[float]:
        scale = 100 if figure.unit == "%" else 1
        return [scale * getattr(each, figure.name) for each in candidates]


def plot_front(
    run: "Run",
    path: str | Path,
    *,
    objectives: Sequence[str] | None = None,
    where: str | None = None,
) -> Path:
    """Draw the first two objectives of a run's front to a ``.png`` or ``.html`` file.

    Raises NotFoundError where no candidate has been trained yet, UsageError for another suffix
    or a single objective.
    """
    path = Path(path)
    drawings = {".png": _draw_png, ".html": _draw_html}
    if path.suffix not in drawings:
        raise UsageError(f"{path}: a plot is a file ending in .png or .html")
    picture = _picture(run, objectives, where)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        drawings[path.suffix](picture, path)
    except OSError as error:
        raise UsageError(f"{path}: the plot cannot be written: {error.strerror}") from error
    return path


def plot_energy(
    estimate: "EnergyEstimate", others: Sequence["Comparison"], path: str | Path, *, name: str
) -> Path:
    """Draw to a ``.png`` file what each part of a network costs, and networks of equal size.

    Raises UsageError for another suffix, or where nothing costs anything.
    """
    path = Path(path)
    if path.suffix != ".png":
        raise UsageError(f"{path}: a plot of energy is a file ending in .png")
    if not any(operation.share for operation in estimate.operations):
        raise UsageError(f"{path}: nothing to draw, as no operation costs anything")
    printable = name.encode(errors="backslashreplace").decode()  # a path need not be UTF-8
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _draw_energy(estimate, others, path, printable)
    except OSError as error:
        raise UsageError(f"{path}: the plot cannot be written: {error.strerror}") from error
    return path


def _picture(run: "Run", objectives: Sequence[str] | None, where: str | None) -> _Picture:
    names = list(objectives or run.objectives)
    if len(names) < 2:
        raise UsageError(f"a plot needs two objectives, but has {', '.join(names)}; name another")
    up, across = map(objective, names[:2])
    front = run.pareto_front(objectives=names, where=where)
    if not front:
        raise NotFoundError(
            f"run {run.name} has no trained candidate{' where ' + where if where else ''} to plot; "
            f"see: {run.command('status')}"
        )
    rows = {member.row for member in front}
    # Not those that are older than a figure, and lack it.
    drawn = run.candidates([State.COMPLETE], where=f"{up.name} >= 0 and {across.name} >= 0")
    counts = run.counts()
    return _Picture(
        title=f"{run.name}: {len(front)} on the front of {counts['complete']} trained",
        caption=f"{counts['refused']} candidates were refused before training",
        across=across,
        up=up,
        others=[each for each in drawn if each.row not in rows],
        front=sorted(front, key=lambda member: float(getattr(member, across.name))),
    )


def _figure(width: float, height: float) -> "Page":
    """Return an empty figure that is drawn without a screen, whatever MPLBACKEND says."""
    backend = os.environ.pop("MPLBACKEND", None)  # a notebook's fails the import elsewhere
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  (a second)
        from matplotlib.figure import Figure as Page  # noqa: PLC0415
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    figure = Page(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_png(picture: _Picture, path: Path) -> None:
    figure = _figure(8, 5)
    from matplotlib.ticker import LogLocator, NullFormatter  # noqa: PLC0415  (after its backend)

    axes = figure.add_subplot()
    axes.scatter(*picture.points(picture.others), s=22, color=_PALE, label="trained")
    axes.plot(
        *picture.points(picture.front),
        color=_STRONG,
        marker="o",
        markersize=5,
        drawstyle="steps-post" if picture.steps_after() else "steps-pre",
        label="Pareto front",
    )
    if picture.is_log():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.1, y=0.1)
    axes.set_xlabel(picture.across.axis)
    axes.set_ylabel(picture.up.axis)
    axes.set_title(picture.title, fontsize=11, parse_math=False)
    axes.grid(visible=True, color="#eceff2")
    axes.set_axisbelow(True)
    axes.legend(loc="lower right", frameon=False)
    figure.supxlabel(picture.caption, fontsize=8, color="#667788")
    if len(picture.front) <= _MOST_LABELS:
        figure.draw_without_rendering()  # so that everything has its place
        _label_front(picture, axes)
    figure.savefig(path)


def _label_front(picture: _Picture, axes: "Axes") -> None:
    """Write ids beside their points, but for those that would cover another or be cut off."""
    taken: list[Bbox] = []
    for member, x, y in zip(picture.front, *picture.points(picture.front), strict=True):
        label = axes.annotate(
            member.id[:8],
            (x, y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=7,
            color=_STRONG,
        )
        for place in _LABEL_PLACES:
            label.set(**place)
            box = label.get_window_extent()
            if not box.count_overlaps(taken) and _is_within(box, axes):
                taken.append(box)
                break
        else:
            label.remove()


def _is_within(box: "Bbox", axes: "Axes") -> bool:
    return all(axes.bbox.contains(x, y) for x, y in box.corners())


def _draw_energy(
    estimate: "EnergyEstimate", others: Sequence["Comparison"], path: Path, name: str
) -> None:

    scale, unit = 1e-6, "score (millions of chip operations)"
    if estimate.total_uj is not None:
        scale, unit = energy_unit(estimate.total_uj)
        unit = f"energy per inference ({unit})"
    parts = _parts(estimate)
    priced = [each for each in others if each.energy_uj is not None]
    if estimate.static_uj:
        parts["static power"] = {"static power": estimate.static_uj}
    rows = len(parts) + len(priced) + 1
    figure = _figure(8, 1.9 + 0.27 * rows)
    by_part, whole = figure.subplots(2, height_ratios=[len(parts) + 1, len(priced) + 2])

    sums: dict[str, float] = {}
    for costs in parts.values():
        for what, cost in costs.items():
            sums[what] = sums.get(what, 0.0) + cost
    lefts = [0.0] * len(parts)
    seen = [w for w in sorted(sums, key=lambda w: -sums[w]) if sums[w] > sum(sums.values()) / 500]
    for what, colour in zip(seen, _COLOURS, strict=False):
        widths = [scale * costs.get(what, 0.0) for costs in parts.values()]
        by_part.barh(list(parts), widths, left=lefts, color=colour, label=what)
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    which = ", upper end" if estimate.is_range else ""
    by_part.set(xlabel=unit + which, xlim=(0, 1.05 * max(lefts)))
    by_part.legend(frameon=False, fontsize=8)

    high = estimate.score if estimate.total_uj is None else estimate.total_uj
    assert high is not None
    totals = {"spiking": scale * high}
    for each in priced:
        bits = "" if each.bits is None else f", {each.bits} bits"
        totals[f"{each.network.replace('_', '-')}{bits}"] = scale * (each.energy_uj or 0.0)
    bars = whole.barh(list(totals), list(totals.values()), color=[_STRONG, _PALE, _PALE][:rows])
    written = [energy_text(estimate), *(text(_ENERGY, each.energy_uj) for each in priced)]
    whole.bar_label(bars, written, padding=4, fontsize=8)
    if estimate.is_range:
        whole.barh(["spiking"], [scale * (estimate.low_uj or 0.0)], color="#062f5b")
    whole.margins(x=0.25)
    whole.set_xlabel(unit)
    for axes in (by_part, whole):
        axes.invert_yaxis()
        axes.tick_params(labelsize=8)
        axes.grid(visible=True, axis="x", color="#eceff2")
        axes.set_axisbelow(True)
    figure.suptitle(
        f"{name}: {energy_text(estimate)} by {estimate.model}", fontsize=11, parse_math=False
    )
    figure.supxlabel(f"spike rates {estimate.rates}", fontsize=8, color="#667788")
    figure.savefig(path)


def _parts(estimate: "EnergyEstimate") -> dict[str, dict[str, float]]:
    """Return what each part of the network costs, by what for, or else by kind of operation."""
    has_terms = len(estimate.terms_uj) > 2
    parts: dict[str, dict[str, float]] = {}
    for operation in estimate.operations:
        if not operation.share:
            continue
        cost = operation.score if estimate.total_uj is None else operation.energy_uj
        costs = dict(operation.terms_uj) if has_terms else {str(operation.kind): cost or 0.0}
        part = parts.setdefault(_part(operation.name), {})
        for what, value in costs.items():
            part[what] = part.get(what, 0.0) + value
    return parts


def _part(name: str) -> str:
    """Return where an operation stands: ``stem``, ``stage 1, block 3``, ``head``."""
    first, *rest = name.split(".")
    if first == "stages" and len(rest) > 1:
        return f"stage {int(rest[0]) + 1}, block {int(rest[1]) + 1}"
    if first == "downsampling" and rest:
        return f"downsampling {int(rest[0]) + 1}"
    return first


def _draw_html(picture: _Picture, path: Path) -> None:
    import plotly.graph_objects as go  # noqa: PLC0415  (costs a second)

    def trace(name: str, candidates: Sequence["Candidate"], **style: Any) -> go.Scatter:
        x, y = picture.points(candidates)
        hover = [_hover(candidate, picture) for candidate in candidates]
        return go.Scatter(x=x, y=y, name=name, text=hover, hoverinfo="text", **style)

    figure = go.Figure(
        [
            trace("trained", picture.others, mode="markers", marker={"color": _PALE, "size": 8}),
            trace(
                "Pareto front",
                picture.front,
                mode="lines+markers",
                marker={"color": _STRONG, "size": 9},
                line={"shape": "hv" if picture.steps_after() else "vh"},
            ),
        ]
    )
    figure.update_layout(
        title={"text": escape(picture.title), "subtitle": {"text": escape(picture.caption)}},
        xaxis={"title": picture.across.axis, "type": "log" if picture.is_log() else "linear"},
        yaxis={"title": picture.up.axis},
        template="plotly_white",
    )
    # The script is part of the file: it opens offline and asks no other server for anything.
    figure.write_html(path, include_plotlyjs=True)


def _hover(candidate: "Candidate", picture: _Picture) -> str:
    names = (figure.name for figure in columns([picture.across.name, picture.up.name]))
    figures = (f"{name}: {text(name, getattr(candidate, name))}" for name in names)
    return "<br>".join([f"<b>{escape(candidate.id)}</b>", *figures, escape(genes(candidate.genes))])
