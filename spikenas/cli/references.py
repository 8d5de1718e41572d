"""Resolves ARCH: a published name, an export folder, an architecture.json, or RUN/ID."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.plugins import import_plugins

if TYPE_CHECKING:
    from spikenas.architecture import Architecture
    from spikenas.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An architecture, with its measured workload if it was trained."""

    architecture: "Architecture"
    measured: "Workload | None" = None

    def workload(self) -> "Workload":
        """Return the measured workload, or else trace the network."""
        if self.measured is not None:
            return self.measured
        from spikenas.measurement import trace_architecture

        return trace_architecture(self.architecture)


def resolve(arch: str, store: str | None, *, allow_plugins: bool = False) -> Reference:
    """Return what ARCH names; imports the plugins of a run or an export if that is allowed.

    Raises UnknownNameError, SpecError, ArtefactError or NotFoundError.
    """
    path = Path(arch)
    if path.is_dir():
        return _export(path, allow_plugins=allow_plugins)
    if path.is_file() or path.suffix == ".json":
        from spikenas import export

        return Reference(architecture=export.read_architecture(path))
    run, slash, candidate = arch.rpartition("/")
    if slash:
        if not run or "/" in run or run in (".", ".."):
            raise UsageError(
                f"{arch}: there is no such folder or file; ARCH is a published name, an export "
                "folder, an architecture.json, or RUN/ID"
            )
        return _candidate(run, candidate, store, allow_plugins=allow_plugins)
    from spikenas import systems

    try:
        return Reference(architecture=systems.published(arch))
    except UnknownNameError as error:
        hint = f"{error.hint}. ARCH may also be an export folder, an architecture.json, or RUN/ID"
        raise UnknownNameError("architecture", arch, error.known, hint) from None


def _export(folder: Path, *, allow_plugins: bool) -> Reference:
    from spikenas import export
    from spikenas.workload import Workload

    import_plugins(export.read_plugins(folder), of=str(folder), is_allowed=allow_plugins)
    workload = export.read_metrics(folder).get("workload")
    return Reference(
        architecture=export.read_architecture(folder),
        measured=Workload.from_dict(workload) if workload else None,
    )


def _candidate(run: str, candidate: str, store: str | None, *, allow_plugins: bool) -> Reference:
    from spikenas.evaluation import State
    from spikenas.store import Store

    with Store.open(store, create=False) as opened:
        of_run = opened.run(run)
        found = of_run.candidate(candidate)
        import_plugins(of_run.plugins, of=f"run {run!r}", is_allowed=allow_plugins)
        is_trained = found.state is State.COMPLETE
        measured = of_run.evaluation(found).workload if is_trained else None
        return Reference(architecture=found.architecture, measured=measured)
