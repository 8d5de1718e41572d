"""The command doctor: checks the installation, the store and the data sets."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from spikenas.cli import documents
from spikenas.cli.options import JsonOption, StoreOption
from spikenas.cli.output import print_document, print_table, redacted
from spikenas.exceptions import DataError, SpikeNASError, StoreError

_IMPORTERS = {  # the module that imports each package
    "torch": "spikenas.nn.network",
    "torchvision": "spikenas.data.torchvision_door",
    "optuna": "spikenas.strategy.optuna_sampler",
    "ray": "spikenas.distributed.ray_pool",
}
_ANY_SIZE = 64


def doctor(
    *,
    store: StoreOption = None,
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="A data set that must be present.")
    ] = None,
    data_root: Annotated[
        str | None, typer.Option(metavar="DIR", help="The folder with the data sets.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check everything that a search needs.

    Packages, devices, the store, data sets, worker profiles, folders.

    Exit code 4 if the store cannot be used, 2 if anything else that is needed fails.
    """
    findings = [*_packages(), *_workers(), *_data_sets(data, data_root), _folder()]
    failed_store = None
    from spikenas.store import Store

    try:
        findings.append(_finding("store", "ok", Store.look(store)))
    except StoreError as error:
        failed_store = error
        findings.append(_finding("store", "error", str(error)))
    ok = all(finding.status != "error" for finding in findings)
    if as_json:
        print_document(documents.Doctor(ok=ok, findings=findings))
    else:
        from spikenas.report import tables

        print_table(
            tables.records([{"": f.status, "what": f.name, "finding": f.detail} for f in findings])
        )
    if failed_store is not None:
        raise typer.Exit(4)
    if not ok:
        raise typer.Exit(2)


def _packages() -> Iterator[documents.Finding]:
    yield _finding("python", "ok", f"{platform.python_version()} on {platform.system()}")
    yield _finding("processor", "ok", f"{os.cpu_count()} cores; {_memory()} of memory")
    for package, module in _IMPORTERS.items():
        yield _tried(package, partial(_imported, package, module))
    yield _events()
    yield _tried("cuda", _cuda)


def _imported(package: str, module: str) -> str:
    from importlib.metadata import version

    import_module(module)
    return version(package)


def _events() -> documents.Finding:
    from spikenas.data.tonic_door import refuse_absence

    try:
        refuse_absence("cifar10dvs")
    except DataError as error:  # an optional extra
        return _finding("tonic", "absent", str(error))
    return _tried("tonic", partial(_imported, "tonic", refuse_absence.__module__))


def _cuda() -> str:
    torch = import_module("torch")
    count = torch.cuda.device_count()
    return f"{count} devices" if count else "no device; networks are trained on the processor"


def _workers() -> Iterator[documents.Finding]:
    from spikenas import shipped

    for name in shipped.names("workers"):
        yield _tried(f"workers {name}", partial(_profile, name))


def _profile(name: str) -> str:
    from spikenas.worker_profile import load_profile

    profile = load_profile(name)
    return f"{profile.kind}, {profile.num_workers} workers"


def _data_sets(needed: str | None, root: str | None) -> Iterator[documents.Finding]:
    from spikenas import data
    from spikenas.data.package_sets import GROUP
    from spikenas.data.spec import OUR_NAMES
    from spikenas.installed import offered, told

    for name, entry in offered(GROUP).items():
        if name in OUR_NAMES:
            taken = f"{told(entry)} is never read, as the name is taken; rename it in that package"
            yield _finding(f"data {name}", "absent", taken)
        elif needed is None:  # a plugin is only imported if --data names it
            detail = f"{told(entry)}; see: spikenas doctor --data {name}"
            yield _finding(f"data {name}", "ok", detail)
    for name in sorted(OUR_NAMES) if needed is None else [needed]:
        try:
            image_size = _ANY_SIZE if name == "image_folder" else None  # it requires one
            info = data.describe(data.DataSpec(name=name, root=root, image_size=image_size))
        except SpikeNASError as error:
            yield _finding(f"data {name}", "absent" if needed is None else "error", str(error))
        else:
            detail = f"{info.num_train} to train, {info.num_test} to test"
            yield _finding(f"data {name}", "ok", detail)


def _folder() -> documents.Finding:
    here = Path.cwd()
    free = shutil.disk_usage(here).free / 2**30
    if not os.access(here, os.W_OK):
        return _finding("folder", "error", f"{here} is not writable; change to another folder")
    return _finding("folder", "ok", f"{here} is writable, {free:.1f} GiB free")


def _tried(name: str, look: Callable[[], str]) -> documents.Finding:
    try:
        return _finding(name, "ok", look())
    except Exception as error:  # a broken package may raise anything
        return _finding(name, "error", f"{type(error).__name__}: {error}")


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return "an unknown amount"
    return f"{size / 2**30:.1f} GiB"


def _finding(name: str, status: documents.FindingStatus, detail: str) -> documents.Finding:
    return documents.Finding(name=name, status=status, detail=redacted(detail))
