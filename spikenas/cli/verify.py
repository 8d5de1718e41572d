"""The command verify: compares the kept weights of a store with their recorded SHA-256."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spikenas.cli import documents
from spikenas.cli.options import ArtifactsOption, JsonOption, StoreOption
from spikenas.cli.output import print_document, print_table, say
from spikenas.exceptions import ArtefactError, MachineError, NotFoundError, SpikeNASError

if TYPE_CHECKING:
    from spikenas.store import Candidate


def verify(
    *,
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Name of a run.", show_default="every run"),
    ] = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the kept weights with their recorded SHA-256.

    Exit code 5 if a file is damaged or missing, 4 if one cannot be read.
    """
    from spikenas.store import Store

    with Store.open(store, create=False, artifacts=artifacts) as opened:
        names = [each.name for each in opened.runs()] if run is None else [run]
        kept = [
            candidate
            for name in names
            for candidate in opened.run(name).candidates(all_generations=True)
            if candidate.weights_path is not None
        ]
    faults = weights_faults(kept)
    if as_json:
        print_document(documents.Verify(num_files=len(kept), faults=faults))
    else:
        from spikenas.report import tables

        print_table(
            tables.records(
                [{"": f.status, "candidate": f.candidate, "path": f.path} for f in faults]
            )
        )
        say(f"{len(kept) - len(faults)} of {len(kept)} files of weights are as recorded")
    if faults:
        raise typer.Exit(4 if all(fault.status == "unreadable" for fault in faults) else 5)


_STATUS: dict[type[SpikeNASError], Literal["damaged", "missing", "unreadable"]] = {
    ArtefactError: "damaged",
    NotFoundError: "missing",
    MachineError: "unreadable",
}


def weights_faults(candidates: "Iterable[Candidate]") -> list[documents.WeightsFault]:
    """Return the kept weights of the candidates that are damaged, missing or unreadable."""
    from spikenas.store import read_weights

    faults = []
    for candidate in candidates:
        if candidate.weights_path is None:
            continue
        try:
            read_weights(candidate)
        except tuple(_STATUS) as error:
            faults.append(
                documents.WeightsFault(
                    candidate=f"{candidate.run}/{candidate.id}",
                    path=str(candidate.weights_path),
                    status=_STATUS[type(error)],
                    detail=str(error),
                )
            )
    return faults
