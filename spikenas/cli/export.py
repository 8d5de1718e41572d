"""The command export: writes candidates of a run as verified folders."""

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
        str | None, typer.Option(metavar="ID", help="This candidate; at least 8 digits of its id.")
    ] = None,
    best: Annotated[
        str | None, typer.Option(metavar="OBJECTIVE", help="The best in this objective.")
    ] = None,
    where: WhereOption = None,
    front: Annotated[
        bool, typer.Option("--front", help="Every member of the front, each in its own folder.")
    ] = False,
    formats: FormatsOption = "safetensors",
    normalise_input: NormaliseOption = False,
    nir_dt: Annotated[
        float | None,
        typer.Option(
            "--nir-dt",
            metavar="SECONDS",
            help="Time step of the simulator that will read the NIR file, 1e-4 for SpikingJelly "
            "and snnTorch; `if` neurons then become LIF nodes with the same spikes.",
            show_default="1e-4, and `if` neurons become IF nodes",
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
        typer.Option("--accept-changes", help="Also if the code of a plugin has changed."),
    ] = False,
) -> None:
    """Write trained architectures as verified folders.

    A folder contains the weights, the genes, the figures and their provenance. Prints the paths.

    Each folder is read back, and the output of its network is compared, before the command ends.
    If a format cannot express the network, the command names the operations and exits with 7;
    with --front, the other members are still written.

    The default is the most accurate candidate.
    """
    if sum((candidate is not None, best is not None, front)) > 1:
        raise UsageError("--candidate, --best and --front exclude each other; choose one")
    if candidate is not None and where is not None:
        raise UsageError("--where filters candidates, and --candidate names one; choose one")
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
    """Write every member that can be written, then raise the most serious error of the others."""
    reasons: dict[type[SpikeNASError], str] = {  # the most serious first
        ArtefactError: "damaged",
        MachineError: "unreadable",
        InfeasibleError: f"cannot be written as {', '.join(beside)}",
        NotFoundError: "without weights",
        UsageError: "not overwritten",
    }
    front = run.pareto_front(where=where)
    failed: dict[type[SpikeNASError], list[str]] = {kind: [] for kind in reasons}
    for member in front:
        folder = to / member.id
        try:
            print(write(member, folder), flush=True)
        except tuple(failed) as error:
            if isinstance(error, UsageError) and not (folder.exists() or folder.is_symlink()):
                raise  # every member would fail in the same way
            say(f"not written: {member.id}: {error}")
            next(ids for kind, ids in failed.items() if isinstance(error, kind)).append(member.id)
    failed = {kind: ids for kind, ids in failed.items() if ids}
    parts = [f"{len(ids)} {reasons[kind]}: {', '.join(ids)}" for kind, ids in failed.items()]
    for kind in failed:
        written = len(front) - sum(map(len, failed.values()))
        raise kind(
            f"{written} of {len(front)} members of the front written to {to}; "
            f"{'; '.join(parts)}; the reasons are above"
        )
