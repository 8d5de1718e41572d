"""Commands about one architecture: show, check; `spikenas.cli.energy` has the third."""

import json
from typing import Annotated, Any

import typer

from spikenas.cli import documents
from spikenas.cli.options import ArchArgument, JsonOption, StoreOption
from spikenas.cli.output import print_document, print_table
from spikenas.cli.references import resolve
from spikenas.exceptions import InfeasibleError

_EVERY = "all"


def show(
    *,
    arch: ArchArgument,
    store: StoreOption = None,
    workload: Annotated[
        bool, typer.Option("--workload", help="Show every operation and what it costs.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the genes of an architecture and what it costs."""
    reference = resolve(arch, store)
    architecture, traced = reference.architecture, reference.workload()
    if as_json:
        print_document(
            documents.Show(
                id=architecture.id,
                key=architecture.key,
                architecture=architecture.to_dict(),
                parameters=traced.parameters,
                macs=traced.macs,
                neurons=traced.neurons,
                workload=traced.to_dict() if workload else None,
            )
        )
        return
    from spikenas.report import tables
    from spikenas.report.figures import count, genes

    heading = (
        f"{architecture.id}: {genes(architecture.to_dict())}; {count(traced.parameters)} "
        f"parameters, {count(traced.macs)} MACs, {count(traced.neurons)} neurons"
    )
    if workload:
        print_table(tables.operations(traced), heading)
        return
    rows = [{"gene": name, "value": value} for name, value in _flat(architecture.to_dict())]
    print_table(tables.records(rows), heading)


def check(
    *,
    arch: ArchArgument,
    chip: Annotated[
        str,
        typer.Option(metavar="NAME|FILE.toml|all", help="The chip; see: spikenas chips."),
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a chip can run an architecture.

    If not, say which operation it refuses, why, and what would cure it.

    Exit code 7 where it does not fit the named chip; 0 for --chip all, whatever fits.
    """
    from spikenas import hardware

    reference = resolve(arch, store)
    profiles = [hardware.chip(name) for name in (hardware.chips() if chip == _EVERY else [chip])]
    verdicts = [hardware.check(reference.workload(), profile) for profile in profiles]
    if as_json:
        print_document(
            documents.Check(
                id=reference.architecture.id,
                key=reference.architecture.key,
                fits=all(each.fits for each in verdicts),
                violations=[found.to_dict() for each in verdicts for found in each.violations],
                warnings=[found.to_dict() for each in verdicts for found in each.warnings],
                chips=[
                    documents.Verdict(chip=each.chip, fits=each.fits, margins=each.margins())
                    for each in verdicts
                ],
            )
        )
    else:
        from spikenas.report import tables

        for verdict in verdicts:
            word = "fits" if verdict.fits else "does not fit"
            print_table(
                tables.verdict(verdict), f"{reference.architecture.id} {word} {verdict.chip}"
            )
    if chip != _EVERY and not verdicts[0].fits:
        violations = verdicts[0].violations
        raise InfeasibleError(
            f"{arch} does not fit; the first of {len(violations)} violations: {violations[0]}"
        )


def _flat(genes: Any, place: str = "") -> list[tuple[str, str]]:
    """Return nested genes as (dotted place, JSON text) rows."""
    if isinstance(genes, dict):
        return [
            row
            for name, value in genes.items()
            for row in _flat(value, f"{place}.{name}" if place else name)
        ]
    if isinstance(genes, list) and genes and isinstance(genes[0], dict):
        return [row for i, value in enumerate(genes) for row in _flat(value, f"{place}[{i}]")]
    return [(place, json.dumps(genes))]
