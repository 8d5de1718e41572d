"""Commands that read the store: runs, status, pareto."""

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikenas.cli import documents
from spikenas.cli.options import (
    ArtifactsOption,
    JsonOption,
    ObjectivesOption,
    RunArgument,
    StoreOption,
    WhereOption,
    names,
)
from spikenas.cli.output import print_document, print_table, redacted, say
from spikenas.cli.verify import weights_faults
from spikenas.exceptions import UsageError

if TYPE_CHECKING:
    from spikenas.store import Candidate, Run


def runs(*, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the runs of a store, newest first."""
    from spikenas.store import Store

    with Store.open(store, create=False) as opened:
        found = opened.runs()
        url = redacted(opened.url)
    lines = [
        documents.RunLine(
            name=run.name,
            status=run.status,
            created_at=run.created_at.isoformat(),
            seed=run.seed,
            objectives=list(run.objectives),
            counts=dict(run.counts),
        )
        for run in found
    ]
    if as_json:
        print_document(documents.Runs(store=url, runs=lines))
        return
    from spikenas.report import tables

    say(f"{len(lines)} run{'s' * (len(lines) != 1)} in {url}")
    print_table(
        tables.records(
            [
                {
                    "run": line.name,
                    "status": line.status,
                    "created": line.created_at[:16].replace("T", " "),
                    "trained": line.counts["complete"],
                    "refused": line.counts["refused"],
                    "seed": line.seed,
                    "objectives": ", ".join(line.objectives),
                }
                for line in lines
            ]
        )
    )


def status(
    *,
    run: RunArgument = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how many candidates of a run are in which state."""
    from spikenas.evaluation import State
    from spikenas.store import Store

    with Store.open(store, create=False, artifacts=artifacts) as opened:
        found = opened.run(run)
        complete = found.candidates(states=[State.COMPLETE])
        document = documents.Status(
            run=found.name,
            status=found.status,
            created_at=found.created_at.isoformat(),
            seed=found.seed,
            objectives=list(found.objectives),
            generation=found.generation,
            counts=found.counts(),
            best_accuracy=max(
                (c.accuracy for c in complete if c.accuracy is not None), default=None
            ),
            lowest_energy_uj=min(
                (c.energy_uj for c in complete if c.energy_uj is not None), default=None
            ),
            settings=found.settings_json,
            faults=weights_faults(complete),
        )
    if as_json:
        print_document(document)
        return
    from spikenas.report import tables
    from spikenas.report.figures import text

    print_table(tables.counts(document.counts), f"{document.run}: {document.status}")
    say(
        f"best accuracy {text('accuracy', document.best_accuracy)}, "
        f"lowest energy {text('energy_uj', document.lowest_energy_uj)}"
    )
    for fault in document.faults:
        say(fault.detail)


def pareto(
    *,
    run: RunArgument = None,
    store: StoreOption = None,
    objectives: ObjectivesOption = None,
    where: WhereOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Show N members, spread over the front.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the front to a .png or .html file.")
    ] = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Show the Pareto front of a run, as a table, JSON, CSV or plot.

    No other candidate is better than a member in one objective without being worse in another.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other; choose one")
    from spikenas.report.figures import spread
    from spikenas.store import Store

    with Store.open(store, create=False) as opened:
        found = opened.run(run)
        chosen = names(objectives) or list(found.objectives)
        front = found.pareto_front(objectives=chosen, where=where)
        members = spread(front, limit)
        if plot is not None:
            from spikenas.report import plots

            say(f"plot: {plots.plot_front(found, plot, objectives=chosen, where=where)}")
        if as_json:
            _print_json(found.name, chosen, members)
        elif as_csv:
            _print_csv(members)
        else:
            from spikenas.report import tables

            heading = f"{found.name}: Pareto front over {', '.join(chosen)}"
            print_table(tables.front(members, objectives=chosen, total=len(front)), heading)
            if not front:
                say(_why_empty(found))


def _why_empty(run: "Run") -> str:
    if num_complete := run.counts()["complete"]:
        return f"none of its {num_complete} complete candidates matches; use a wider --where"
    return f"no candidate is complete yet; see: {run.command('status')}"


def _print_json(run: str, objectives: list[str], front: Sequence["Candidate"]) -> None:
    members = [documents.Member(**candidate.to_dict()) for candidate in front]
    print_document(documents.Pareto(run=run, objectives=objectives, front=members))


def _print_csv(front: Sequence["Candidate"]) -> None:
    columns = [field.name for field in fields(documents.Member)]
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    for candidate in front:
        member = candidate.to_dict()
        writer.writerow({**member, "architecture": json.dumps(member["architecture"])})
