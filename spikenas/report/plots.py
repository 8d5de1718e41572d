"""Plots of a Pareto front and of an energy estimate: PNG for papers, interactive HTML.

matplotlib and plotly are imported by the functions that draw, as each import takes a second.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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

_LOG_SPAN = 5  # ratio of its ends above which an axis is logarithmic
_MOST_LABELS = 12
# Above left and below right of a point, where the steps of a front do not pass.
_LABEL_PLACES = (
    {"position": (-3, 4), "ha": "right", "va": "bottom"},
    {"position": (3, -4), "ha": "left", "va": "top"},
)
_PALE, _STRONG = "#b9c2cc", "#0b5cad"
_ENERGY = "energy_uj"
_COLOURS = (_STRONG, "#e08e2b", "#3a9e6e", "#a05195", "#d45087", "#8c6d4f", _PALE, "#444f5a")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """The content of both formats: the second objective on the x axis, the first on the y axis."""

    title: str
    caption: str
    x: Figure
    y: Figure
    others: Sequence["Candidate"]
    front: Sequence["Candidate"]  # in the order of x

    def points(self, candidates: Sequence["Candidate"]) -> tuple[list[float], list[float]]:
        return _values(candidates, self.x), _values(candidates, self.y)

    def is_log(self) -> bool:
        values = _values([*self.others, *self.front], self.x)
        return min(values) > 0 and max(values) > _LOG_SPAN * min(values)

    def steps_after(self) -> bool:
        """Whether the line is level to the right of each point: the best y within a budget of x."""
        return self.x.direction == "minimize"


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

    Raises NotFoundError if no candidate is trained yet, UsageError for another suffix or a single
    objective.
    """
    path = Path(path)
    drawings = {".png": _draw_png, ".html": _draw_html}
    if path.suffix not in drawings:
        raise UsageError(f"{path}: a plot is a file ending in .png or .html")
    picture = _picture(run, objectives, where)
    with _writing(path):
        drawings[path.suffix](picture, path)
    return path


def plot_energy(
    estimate: "EnergyEstimate", others: Sequence["Comparison"], path: str | Path, *, name: str
) -> Path:
    """Draw the energy of each part of a network, and of networks of equal size, to a ``.png`` file.

    Raises UsageError for another suffix, or if no operation costs anything.
    """
    path = Path(path)
    if path.suffix != ".png":
        raise UsageError(f"{path}: a plot of energy is a file ending in .png")
    if not any(operation.share for operation in estimate.operations):
        raise UsageError(f"{path}: nothing to draw, as no operation costs anything")
    printable = name.encode(errors="backslashreplace").decode()  # a path need not be UTF-8
    with _writing(path):
        _draw_energy(estimate, others, path, printable)
    return path


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UsageError(f"{path}: the plot cannot be written: {error.strerror}") from error


def _picture(run: "Run", objectives: Sequence[str] | None, where: str | None) -> _Picture:
    names = list(objectives or run.objectives)
    if len(names) < 2:
        raise UsageError(f"a plot needs two objectives, but has {', '.join(names)}; name another")
    y, x = map(objective, names[:2])
    front = run.pareto_front(objectives=names, where=where)
    if not front:
        raise NotFoundError(
            f"run {run.name} has no trained candidate{' where ' + where if where else ''} to plot; "
            f"see: {run.command('status')}"
        )
    rows = {member.row for member in front}
    # Candidates of an older spikenas may lack a figure.
    drawn = run.candidates([State.COMPLETE], where=f"{y.name} >= 0 and {x.name} >= 0")
    counts = run.counts()
    return _Picture(
        title=f"{run.name}: {len(front)} on the front of {counts['complete']} trained",
        caption=f"{counts['refused']} candidates were refused before training",
        x=x,
        y=y,
        others=[each for each in drawn if each.row not in rows],
        front=sorted(front, key=lambda member: float(getattr(member, x.name))),
    )


def _figure(width: float, height: float) -> "Page":
    """Return an empty figure that needs no display, whatever MPLBACKEND is."""
    backend = os.environ.pop("MPLBACKEND", None)  # the import fails if it names a notebook's
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
    axes.set_xlabel(picture.x.axis)
    axes.set_ylabel(picture.y.axis)
    axes.set_title(picture.title, fontsize=11, parse_math=False)
    axes.grid(visible=True, color="#eceff2")
    axes.set_axisbelow(True)
    axes.legend(loc="lower right", frameon=False)
    figure.supxlabel(picture.caption, fontsize=8, color="#667788")
    if len(picture.front) <= _MOST_LABELS:
        figure.draw_without_rendering()  # labels need the final layout
        _label_front(picture, axes)
    figure.savefig(path)


def _label_front(picture: _Picture, axes: "Axes") -> None:
    """Write ids beside their points, unless they would overlap another id or be cut off."""
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
    """Return the cost of each part of the network, by term of the model or by operation kind."""
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
    """Return the part of the network: ``stem``, ``stage 1, block 3``, ``head``."""
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
        xaxis={"title": picture.x.axis, "type": "log" if picture.is_log() else "linear"},
        yaxis={"title": picture.y.axis},
        template="plotly_white",
    )
    # With the script in the file, it can be opened offline.
    figure.write_html(path, include_plotlyjs=True)


def _hover(candidate: "Candidate", picture: _Picture) -> str:
    names = (figure.name for figure in columns([picture.x.name, picture.y.name]))
    figures = (f"{name}: {text(name, getattr(candidate, name))}" for name in names)
    return "<br>".join([f"<b>{escape(candidate.id)}</b>", *figures, escape(genes(candidate.genes))])
