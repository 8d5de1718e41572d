"""export: the best of a run as verified folders."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikenas.cli.options import (
    ArtifactsOption,
    FormatsOption,
    NormaliseOption,
    PluginsOption,
    RunArgument,
    StoreOption,
    WhereOption,
    names,
)
from spikenas.cli.output import say, say_how_to_load
from spikenas.exceptions import (
    ArtefactError,
    InfeasibleError,
    MachineError,
    NotFoundError,
    SpikeNASError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from spikenas.store import Run


def export(
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to write.")],
    run: RunArgument = None,
    candidate: Annotated[
        str | None, typer.Option(metavar="ID", help="This candidate; 8 digits of its id or more.")
    ] = None,
    best: Annotated[
        str | None, typer.Option(metavar="OBJECTIVE", help="The best in this objective.")
    ] = None,
    where: WhereOption = None,
    front: Annotated[
        bool, typer.Option("--front", help="Every front member, each in a folder of its own.")
    ] = False,
    formats: FormatsOption = "safetensors",
    normalise_input: NormaliseOption = False,
    nir_dt: Annotated[
        float | None,
        typer.Option(
            "--nir-dt",
            metavar="SECONDS",
            help="The step of the simulator that is to read --format nir, 1e-4 for SpikingJelly "
            "and snnTorch; if neurons are LIF nodes without loss then.",
            show_default="1e-4, and if neurons are IF nodes",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace folders that exist.")
    ] = False,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
    allow_plugins: PluginsOption = False,
    accept_changes: Annotated[
        bool,
        typer.Option("--accept-changes", help="Even where the code of a plugin has changed since."),
    ] = False,
) -> None:
    """Write trained architectures as verified folders.

    A folder holds the weights, the genes, the figures and their origin.

    Each folder is read back and its network's output compared before the command says done.
    A format that cannot express the network ends with exit code 7 and names every operation;
    with --front the members that it can express are written all the same.

    Without a choice the most accurate candidate is written. Prints the folders.
    """
    if sum((candidate is not None, best is not None, front)) > 1:
        raise UsageError("--candidate, --best and --front exclude each other; take one")
    if candidate is not None and where is not None:
        raise UsageError("--where chooses among candidates, and --candidate names one; take one")
    beside = names(formats) or []
    from spikenas.store import Store

    with Store.open(store, create=False, artifacts=artifacts) as opened:
        found = opened.run(run)
        write = partial(
            found.export,
            formats=beside,
            normalise_input=normalise_input,
            nir_dt=nir_dt,
            overwrite=overwrite,
            allow_plugins=allow_plugins,
            accept_changes=accept_changes,
        )
        if front:
            _write_front(found, to, beside, write, where)
            return
        print(write(candidate or found.best(best or "accuracy", where), to))
    say_how_to_load(to, has_plugins=bool(found.plugins))


def _write_front(
    run: "Run", to: Path, beside: list[str], write: "Callable[..., Path]", where: str | None
) -> None:
    """Write every member that can be written; raise the gravest error at the end for the others.

    From the gravest: weights that are damaged, that cannot be read, a format that cannot express a
    network, weights that are not there, a folder that is taken.
    """
    front = run.pareto_front(where=where)
    failed: dict[type[SpikeNASError], list[str]] = {
        ArtefactError: [],
        MachineError: [],
        InfeasibleError: [],
        NotFoundError: [],
        UsageError: [],
    }
    for member in front:
        folder = to / member.id
        try:
            print(write(member, folder), flush=True)
        except tuple(failed) as error:
            if isinstance(error, UsageError) and not (folder.exists() or folder.is_symlink()):
                raise  # it is the same for every member
            say(f"not written: {member.id}: {error}")
            next(ids for kind, ids in failed.items() if isinstance(error, kind)).append(member.id)
    reasons = {
        ArtefactError: "damaged",
        MachineError: "unreadable",
        InfeasibleError: f"cannot be written as {', '.join(beside)}",
        NotFoundError: "without weights",
        UsageError: "not overwritten",
    }
    parts = [f"{len(ids)} {reasons[kind]}: {', '.join(ids)}" for kind, ids in failed.items() if ids]
    for kind, ids in failed.items():
        if ids:
            written = len(front) - sum(map(len, failed.values()))
            raise kind(
                f"{written} of {len(front)} members of the front written to {to}; "
                f"{'; '.join(parts)}; the reasons are above"
            )
