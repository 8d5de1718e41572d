"""The commands search and resume."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from spikenas.cli import documents
from spikenas.cli.options import (
    ArtifactsOption,
    JsonOption,
    ObjectivesOption,
    PluginsOption,
    QuietOption,
    RunArgument,
    StoreOption,
    names,
    number,
    seconds,
)
from spikenas.cli.output import print_document, print_table, redacted, say
from spikenas.cli.references import resolve
from spikenas.exceptions import UsageError
from spikenas.figures import DEFAULT_OBJECTIVES

if TYPE_CHECKING:
    from spikenas.driver import Progress
    from spikenas.settings import SearchSettings
    from spikenas.store import Candidate, Run
    from spikenas.worker_profile import WorkerProfile

_ROWS = 10


def search(
    *,
    space: Annotated[
        str, typer.Option(metavar="NAME|FILE.toml", help="The search space; see spikenas spaces.")
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The data set.", show_default="the one that the space names"
        ),
    ] = None,
    data_root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder with the data set.")
    ] = None,
    chip: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.toml",
            help="Refuse candidates that this chip cannot run; see spikenas chips.",
        ),
    ] = None,
    trials: Annotated[int, number("Candidates to train; refused ones do not count.")] = 12,
    time_budget: Annotated[
        float | None,
        typer.Option(
            parser=seconds,
            metavar="DURATION",
            help="Start no candidate after this time: 90s, 10m, 1.5h; 90 is seconds.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="The name of the run.", show_default="data set and time"),
    ] = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
    workers: Annotated[
        str,
        typer.Option(metavar="NAME|FILE.toml", help="The worker profile; inline runs without Ray."),
    ] = "local",
    num_workers: Annotated[
        int | None, typer.Option(metavar="N", help="Workers.", show_default="the profile's")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Equal seeds give equal searches.")
    ] = 0,
    seed_with: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARCH",
            help="Propose the member of the space that is nearest to this first: a published "
            "name, an export folder, an architecture.json, or RUN/ID. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHOICE=VALUE",
            help="Fix a choice of the space to a value: num_steps=4. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHOICE=A,B",
            help="Restrict a choice to some values: mixer=stm,qk_token. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    objectives: ObjectivesOption = None,
    sampler: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="How candidates are proposed: spikenas; Optuna's tpe, nsga2, nsga3, gp, random.",
        ),
    ] = "spikenas",
    energy_model: Annotated[
        str, typer.Option(metavar="NAME|FILE.toml", help="How energy is estimated.")
    ] = "cmos45",
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.toml", help="The training recipe.", show_default="the data set's"
        ),
    ] = None,
    epochs: Annotated[int | None, number("Epochs per candidate.", "the recipe's")] = None,
    batch_size: Annotated[int | None, number("Images per training step.", "the recipe's")] = None,
    image_size: Annotated[int | None, number("Resize images to NxN.", "no resizing")] = None,
    train_subset: Annotated[int | None, number("Train on N images.", "all")] = None,
    binning: Annotated[
        str,
        typer.Option(
            metavar="time|count",
            help="Bin events into frames of equal duration or of equal numbers of events.",
        ),
    ] = "time",
    max_parameters: Annotated[int | None, number("Refuse networks with more parameters.")] = None,
    max_memory_gib: Annotated[
        float | None,
        typer.Option(min=0, metavar="GIB", help="Refuse networks whose training needs more."),
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="0..1", help="Minimum accuracy to aim for."),
    ] = None,
    max_energy_uj: Annotated[
        float | None, typer.Option(min=0, metavar="UJ", help="Maximum energy to aim for.")
    ] = None,
    max_spike_rate: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="0..1", help="Maximum rate to aim for.")
    ] = None,
    max_synops: Annotated[
        float | None, typer.Option(min=0, metavar="N", help="Maximum synops to aim for.")
    ] = None,
    max_macs: Annotated[
        float | None, typer.Option(min=0, metavar="N", help="Refuse networks with more MACs.")
    ] = None,
    max_latency_steps: Annotated[
        int | None, number("Refuse networks with more steps.", metavar="T")
    ] = None,
    allow_plugins: PluginsOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Search a space for accurate architectures with low energy.

    Every candidate is recorded in the store; the Pareto front is shown at the end.

    Ctrl-C saves the state; spikenas resume continues from there.
    """
    bounds = {
        "accuracy": min_accuracy,
        "energy_uj": max_energy_uj,
        "spike_rate": max_spike_rate,
        "synops": max_synops,
        "macs": max_macs,
        "latency_steps": max_latency_steps,
    }

    def run(on_progress: Callable[["Progress"], None]) -> "Run":
        from spikenas import driver

        return driver.search(
            space,
            data=data,
            data_root=data_root,
            chip=chip,
            trials=trials,
            workers=workers,
            num_workers=num_workers,
            store=store,
            artifacts=artifacts,
            name=name,
            seed=seed,
            epochs=epochs,
            recipe=recipe,
            batch_size=batch_size,
            image_size=image_size,
            train_subset=train_subset,
            binning=binning,  # type: ignore[arg-type]  # DataSpec refuses another word
            time_budget_s=time_budget,
            objectives=names(objectives) or DEFAULT_OBJECTIVES,
            sampler=sampler,
            energy_model=energy_model,
            max_parameters=max_parameters,
            max_memory_gib=max_memory_gib,
            bounds={name: bound for name, bound in bounds.items() if bound is not None},
            allow_plugins=allow_plugins,
            only=_only(fix or (), only or ()),
            seed_with={
                arch: resolve(arch, store, allow_plugins=allow_plugins).architecture
                for arch in seed_with or ()
            },
            on_checked=None if quiet else partial(_announce, "searching", space, store),
            on_progress=on_progress,
        )

    _conduct(run, store=store, as_json=as_json, quiet=quiet)


def resume(
    *,
    run: RunArgument = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
    allow_plugins: PluginsOption = False,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes",
            help="If data or code have changed, begin a new generation of the run.",
        ),
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Continue a search that was interrupted or killed.

    Only candidates that were in flight are trained again. The command refuses if the data set, a
    plugin or an installed package has changed, as new candidates could not be compared with old.
    """

    def go_on(on_progress: Callable[["Progress"], None]) -> "Run":
        from spikenas import driver

        of = run or "the newest run"
        on_checked = None if quiet else partial(_announce, "resuming", of, store)
        return driver.resume(
            run,
            store=store,
            artifacts=artifacts,
            allow_plugins=allow_plugins,
            accept_changes=accept_changes,
            on_checked=on_checked,
            on_progress=on_progress,
        )

    _conduct(go_on, store=store, as_json=as_json, quiet=quiet)


def _only(fix: Sequence[str], only: Sequence[str]) -> dict[str, list[str]]:
    """Return the values to which choices are restricted, as text."""
    found: dict[str, list[str]] = {}
    for option, texts in (("--fix", fix), ("--only", only)):
        for text in texts:
            name, sign, values = (part.strip() for part in text.partition("="))
            if not (name and sign and values) or name in found:
                raise UsageError(
                    f"{option} {text!r}; needed: CHOICE={'VALUE' if option == '--fix' else 'A,B'}, "
                    "each choice once"
                )
            listed = option == "--only" and not values.startswith("[")
            found[name] = [each.strip() for each in values.split(",")] if listed else [values]
    return found


def _conduct(
    search: Callable[[Callable[["Progress"], None]], "Run"],
    *,
    store: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run a search, show its progress, and print its front."""
    from spikenas.cli.progress import SearchDisplay

    display = SearchDisplay(quiet=quiet)
    try:
        with _sigterm_as_exception(), display:
            run = search(display)
    except (KeyboardInterrupt, SystemExit) as stop:  # SystemExit: SIGTERM, by our handler or Ray's
        if display.run:
            from spikenas.store import Store

            with Store.open(store, create=False) as opened:
                go_on = opened.run(display.run).command("resume")
            say(f"stopped; the state is saved. resume with: {go_on}")
        else:
            say("stopped before a run was recorded")
        raise typer.Exit(130 if isinstance(stop, KeyboardInterrupt) else 143) from None
    if as_json:
        print_document(documents.SearchEnd(run=run.name, counts=run.counts()))
        return
    from spikenas.report import tables
    from spikenas.report.figures import spread

    where = run.settings.limits.where
    front = run.pareto_front(where=where or None)
    heading = f"{run.name}: Pareto front over {', '.join(run.objectives)}"
    if where and front:
        heading += f", of candidates with {where}"
    elif where:
        front = run.pareto_front()
    table = tables.front(spread(front, _ROWS), objectives=run.objectives, total=len(front))
    print_table(table, heading)
    if front and not quiet:
        _say_what_next(run, front)


def _announce(doing: str, what: str, store: str | None, settings: "SearchSettings") -> None:
    chip = settings.chip
    say(
        f"{doing} {what} on {settings.data.name}, chip {chip.name if chip else 'none'}, "
        f"store {redacted(store or os.environ.get('SPIKENAS_STORE') or 'sqlite:///spikenas.db')}"
        f"{_ray_text(settings.workers)}"
    )


def _ray_text(workers: "WorkerProfile | None") -> str:
    if workers is None or workers.kind == "inline":
        return ""
    if workers.address == "local":
        return "; starting Ray ..."
    return f"; joining the Ray cluster at {redacted(workers.address)} ..."


def _say_what_next(run: "Run", front: list["Candidate"]) -> None:
    plotted = ["--plot", "front.png"]
    if len(run.objectives) == 1:  # a plot needs two
        other = "accuracy" if run.objectives != ("accuracy",) else "energy_uj"
        plotted += ["--objectives", f"{run.objectives[0]},{other}"]
    to = next(name for n in count(1) if not Path(name := f"best-{n}" if n > 1 else "best").exists())
    say("next:")
    say(f"  {run.command('pareto', *plotted)}")
    say(f"  {run.command('energy', candidate=front[0].id)}")
    where = run.settings.limits.where
    which = ["--where", where] if where and run.pareto_front(where=where) else []
    say(f"  {run.command('export', '--best', 'accuracy', *which, '--to', to)}")


@contextmanager
def _sigterm_as_exception() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
