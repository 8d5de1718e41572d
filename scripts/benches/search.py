"""Count the evaluations that samplers need in a table: scripts/bench search --table FILE.csv ...

A table holds every member of a space with its results, so a search costs nothing but its
proposals. Each sampler searches once a seed; told are the evaluations until it has found 80, 90
and 95 % of the hypervolume of the table's own front (reference point: 1.1 x its worst values, all
objectives scaled by the front). Evaluations of one architecture more than once count each time.

Samplers: spikenas (ours); Optuna's random, tpe (multivariate and grouped), tpe-default, nsga2,
nsga3 and gp.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import optuna

from searching.loop import Found, search_table
from searching.progress import Rung, Task
from searching.table import Cell, Table
from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.strategy.model_sampler import ModelSampler
from spikenas.strategy.optuna_sampler import OPTUNA_METHODS, OptunaSampler
from spikenas.strategy.sampler import Sampler

_SHARES = (80, 90, 95)


def main() -> None:
    """Search and print."""
    given = _options().parse_args()
    try:
        document = _document(given)
    except UsageError as error:
        print(f"scripts/bench search: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    if given.json:
        print(json.dumps(document, indent=1))


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, required=True, metavar="FILE.csv")
    parser.add_argument("--choices", required=True, metavar="COL,COL,...")
    parser.add_argument("--maximize", action="append", default=[], metavar="COL")
    parser.add_argument("--minimize", action="append", default=[], metavar="COL")
    parser.add_argument("--floor", action="append", default=[], metavar="COL=VALUE")
    parser.add_argument(
        "--known",
        action="append",
        default=[],
        metavar="COL",
        help="an objective that needs no evaluation",
    )
    parser.add_argument(
        "--rungs",
        metavar="COL@EPOCHS,...",
        help="cheaper results of the maximised objective, the last is its own",
    )
    parser.add_argument("--sampler", default="spikenas", metavar="NAME,NAME,...")
    parser.add_argument("--budget", type=_positive, default=200, help="evaluations a search")
    parser.add_argument("--seeds", type=_positive, default=31)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--cell", metavar="01,02,...", help="the edge of each choice")
    parser.add_argument("--none", default="0", help="the value of a choice that is no edge")
    parser.add_argument("--pending", type=_positive, default=1, help="jobs in flight")
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}; needed: a whole number from 1")
    return int(text)


def _document(given: argparse.Namespace) -> dict[str, object]:
    choices = _names("--choices", given.choices)
    floors = dict(_floor(text) for text in given.floor)
    objectives = [*given.maximize, *given.minimize]
    if not objectives:
        raise UsageError("no objective; give at least one column by --maximize or --minimize")
    for name in given.known:
        if name not in given.minimize:
            least = ", ".join(given.minimize) or "none"
            raise UsageError(f"--known {name} is no objective that is minimised; those are {least}")
    for name in objectives:
        if name in choices or objectives.count(name) > 1:
            raise UsageError(f"{name} is given twice, as a choice or an objective")
    samplers = _names("--sampler", given.sampler)
    for name in samplers:
        if name not in _SAMPLERS:
            raise UnknownNameError("sampler", name, _SAMPLERS)
    rungs = (Rung(column="", share=1.0),)
    if given.rungs is not None:
        rungs = Rung.parse(given.rungs, given.maximize)
    scores = [*objectives, *floors, *(rung.column for rung in rungs if rung.column)]
    table = Table.read(given.table, choices=choices, scores=[*dict.fromkeys(scores)])
    if given.cell is not None:
        table = replace(table, cell=Cell.parse(given.cell, given.none, choices))
        if any(given.none not in offered for offered in table.choices.values()):
            raise UsageError(f"--none {given.none} is not a value of every choice, as a cell needs")
    task = Task.of(
        table, maximize=given.maximize, minimize=given.minimize, floors=floors, rungs=rungs
    )
    table = replace(table, known=tuple(given.known))
    results = {}
    for name in samplers:
        found = [
            search_table(
                _SAMPLERS[name](table, task, seed),
                table,
                task,
                budget=given.budget,
                pending=given.pending,
            )
            for seed in range(given.first_seed, given.first_seed + given.seeds)
        ]
        results[name] = _summary(found, given.budget)
        print(_line(name, results[name]), file=sys.stderr, flush=True)
    return {"command": shlex.join(sys.argv), "samplers": results}


def _summary(found: Sequence[Found], budget: int) -> dict[str, Any]:
    reached = {share: [each.evaluations_to(share) for each in found] for share in _SHARES}
    marks = sorted({n for n in (20, 50, 100, 200, 500, budget) if n <= budget})
    return {
        **{f"to_{share}": numbers for share, numbers in reached.items()},
        "median": {str(share): _quartile(numbers, 2) for share, numbers in reached.items()},
        "lower_quartile": {str(s): _quartile(numbers, 1) for s, numbers in reached.items()},
        "upper_quartile": {str(s): _quartile(numbers, 3) for s, numbers in reached.items()},
        "hv_at": {
            str(mark): round(float(median(each.share_at(mark) for each in found)), 4)
            for mark in marks
        },
        "distinct": median(len(each.keys) for each in found),
        "seconds_per_proposal": round(median(s for each in found for s in each.seconds), 5),
    }


def _quartile(numbers: Sequence[float | None], which: int) -> float | None:
    """Return a quartile; None where it lies beyond the budget."""
    known = [float("inf") if number is None else float(number) for number in numbers]
    ordered = sorted(known)
    place = which * (len(ordered) - 1) / 4
    low, high = ordered[int(place)], ordered[-int(-place // 1)]
    if high == float("inf"):
        return None if low == float("inf") or place != int(place) else low
    return low + (high - low) * (place - int(place))


def _line(name: str, result: Mapping[str, Any]) -> str:
    """Return what people read: evaluations to each share, with quartiles."""
    shares = ", ".join(
        f"{share} %: {result['median'][share]} "
        f"({result['lower_quartile'][share]} to {result['upper_quartile'][share]})"
        for share in result["median"]
    )
    return (
        f"{name:12} {shares}; hypervolume {result['hv_at']}; {result['distinct']} distinct; "
        f"{1e3 * result['seconds_per_proposal']:.1f} ms a proposal"
    )


def _names(option: str, text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise UsageError(f"{option} {text}; needed: different names with commas between")
    return names


def _floor(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise UsageError(f"--floor {text}; needed: COLUMN=VALUE, as test=60") from None


def _ours(table: Table, task: Task, seed: int) -> Sampler:
    space = replace(table, folds=True, rows={})
    return ModelSampler(space, seed=seed, objectives=task.objectives)  # type: ignore[arg-type]


def _optuna(method: str) -> Callable[[Table, Task, int], Sampler]:
    def build(table: Table, task: Task, seed: int) -> Sampler:
        chosen = method
        if method == "tpe-default":
            chosen = optuna.samplers.TPESampler(seed=seed)  # type: ignore[assignment]
        return OptunaSampler(table, method=chosen, seed=seed, objectives=task.objectives)  # type: ignore[arg-type]

    return build


_SAMPLERS: dict[str, Callable[[Table, Task, int], Sampler]] = {
    "spikenas": _ours,
    **{method: _optuna(method) for method in (*OPTUNA_METHODS, "tpe-default")},
}


if __name__ == "__main__":
    main()
