"""The commands show and check, about one architecture."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikenas.cli import documents
from spikenas.cli.options import ArchArgument, JsonOption, PluginsOption, StoreOption
from spikenas.cli.output import print_document, print_table
from spikenas.cli.references import resolve
from spikenas.exceptions import InfeasibleError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spikenas.hardware import ChipProfile, LayerGraph, Verdict
    from spikenas.workload import Workload

_EVERY = "all"


def show(
    *,
    arch: ArchArgument,
    store: StoreOption = None,
    allow_plugins: PluginsOption = False,
    workload: Annotated[
        bool, typer.Option("--workload", help="Show every operation and its cost.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the genes of an architecture and its cost."""
    reference = resolve(arch, store, allow_plugins=allow_plugins)
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
    arch: Annotated[
        str | None,
        typer.Argument(
            metavar="ARCH",
            help="A published name, an export folder, an architecture.json, RUN/ID (at least 8 "
            "digits of the id), or a file.nir of any origin.",
            show_default="none, with --layers",
        ),
    ] = None,
    chip: Annotated[
        str,
        typer.Option(metavar="NAME|FILE.toml|all", help="The chip; see: spikenas chips."),
    ],
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.json",
            help="A list of layers instead of ARCH: {name?, input | input_hwc, layers}; for chips "
            "with a placement.",
        ),
    ] = None,
    store: StoreOption = None,
    allow_plugins: PluginsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check whether a chip can run an architecture or a list of layers.

    Shows which operations do not fit, why, and how to fix that; or else the placement on cores.

    Exit code 7 if it does not fit the named chip; always 0 for --chip all.
    """
    from spikenas import hardware

    if (arch is None) == (layers is None):
        raise UsageError("give either ARCH or --layers FILE.json, the network to check")
    profiles = [hardware.chip(name) for name in (hardware.chips() if chip == _EVERY else [chip])]
    identity = key = None
    if layers is not None:
        subject = layers
        graph = hardware.read_layers(Path(layers))
        if chip == _EVERY:  # classes of chips have no placement
            profiles = [profile for profile in profiles if profile.placement]
        verdicts = [hardware.check_layers(graph, profile) for profile in profiles]
    elif arch is not None and Path(arch).suffix == ".nir" and not Path(arch).is_dir():
        subject = arch
        workload, graph = _read_nir(Path(arch))
        verdicts = [hardware.check(workload, profile, layers=graph) for profile in profiles]
    else:
        assert arch is not None
        subject, reference = arch, resolve(arch, store, allow_plugins=allow_plugins)
        identity, key = reference.architecture.id, reference.architecture.key
        verdicts = [hardware.check(reference.workload(), profile) for profile in profiles]
    if as_json:
        print_document(
            documents.Check(
                id=identity,
                key=key,
                fits=all(each.fits for each in verdicts),
                violations=[found.to_dict() for each in verdicts for found in each.violations],
                warnings=[found.to_dict() for each in verdicts for found in each.warnings],
                chips=[
                    documents.Verdict(
                        chip=each.chip,
                        fits=each.fits,
                        margins=each.margins(),
                        placement=each.to_dict()["placement"],
                    )
                    for each in verdicts
                ],
            )
        )
    else:
        _print_verdicts(identity or subject, verdicts, profiles)
    if chip != _EVERY and not verdicts[0].fits:
        violations = verdicts[0].violations
        raise InfeasibleError(
            f"{subject} does not fit; the first of {len(violations)} violations: {violations[0]}"
        )


def _read_nir(path: Path) -> "tuple[Workload, LayerGraph]":
    try:
        from spikenas.hardware.nir_file import read_nir
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{path}: NIR is read with {error.name}, which this Python does not have; get it "
            "with: pip install 'spikenas[nir]'"
        ) from None
    return read_nir(path)


def _print_verdicts(subject: str, verdicts: "list[Verdict]", profiles: "list[ChipProfile]") -> None:
    """Print one table for one chip, or one row per chip."""
    from spikenas.report import tables

    if len(verdicts) > 1:
        print_table(tables.verdicts(list(zip(verdicts, profiles, strict=True))), subject)
        return
    [verdict] = verdicts
    word = "fits" if verdict.fits else "does not fit"
    print_table(tables.verdict(verdict), f"{subject} {word} {verdict.chip}")
    if verdict.placement is not None:
        table = tables.records([_join_lists(layer) for layer in verdict.placement.layers])
        print_table(table, f"placement: {verdict.placement.summary}")


def _join_lists(layer: "Mapping[str, Any]") -> dict[str, Any]:
    return {
        key: ", ".join(map(str, value)) if isinstance(value, list) else value
        for key, value in layer.items()
    }


def _flat(genes: Any, place: str = "") -> list[tuple[str, str]]:
    """Return nested genes as rows of (dotted path, JSON text)."""
    if isinstance(genes, dict):
        return [
            row
            for name, value in genes.items()
            for row in _flat(value, f"{place}.{name}" if place else name)
        ]
    if isinstance(genes, list) and genes and isinstance(genes[0], dict):
        return [row for i, value in enumerate(genes) for row in _flat(value, f"{place}[{i}]")]
    return [(place, json.dumps(genes))]
