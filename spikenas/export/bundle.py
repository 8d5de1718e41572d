"""Writing an export atomically, and reading it back.

The files are written to a temporary folder in the same parent folder and synced. The network is
loaded from there, and its logits are compared bit for bit with those of the given weights. Only
then is the folder renamed. Other formats are compared when they are rendered.
"""

import os
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

import spikenas
from spikenas import shipped
from spikenas.architecture import Architecture
from spikenas.exceptions import ArtefactError, UsageError, in_short
from spikenas.export import formats
from spikenas.export.older_names import renamed
from spikenas.export.provenance import (
    PROVENANCE,
    parse,
    read_plugins_and_code,
    read_verified,
    refuse_private,
    render,
    seal,
)
from spikenas.export.samples import sample_images
from spikenas.nn.network import SpikingTransformer, build_network
from spikenas.plugins import import_plugins, refuse_changed
from spikenas.preprocessing import Preprocessing

PREPROCESSING = "preprocessing.json"


def write(
    architecture: Architecture,
    weights: bytes,
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
    to: str | Path,
    *,
    beside: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] = (),
    normalise_input: bool = False,
    nir_dt: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Write an export to the folder ``to`` and return it.

    Args:
        architecture: of the network.
        weights: its ``state_dict`` as safetensors bytes.
        metrics: its figures, plain JSON; no path, host or database URL.
        provenance: the fields of `spikenas.export.provenance.Provenance`, under the same rule.
        to: a folder that does not exist, or with ``overwrite`` an older export, which is kept
            until the new one is complete.
        beside: names of `spikenas.export.formats.FORMATS`, written beside the weights.
        preprocessing: of the search; `predict` refuses to work without it.
        classes: their names by index.
        normalise_input: let the graphs of ``beside`` take images in 0..1 and normalise them.
        nir_dt: time step of the simulators that will run the NIR file, in seconds; ``if``
            neurons become LIF nodes then.
        overwrite: replace an older export.

    Raises:
        UsageError: ``to`` exists or cannot be written, a record has a private or an unknown entry,
            or a format is unknown or its package is missing.
        ArtefactError: the weights do not fit the architecture, or the files read back differ.
        InfeasibleError: a format cannot express the network.
    """
    _require_path("to", to)
    to, beside = Path(to), formats.checked(beside)
    _refuse_taken(to, overwrite=overwrite)
    refuse_private(metrics, "metrics")
    state = _state(weights, "weights")
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise ArtefactError(f"weights: {name} is not finite; nothing was exported")
    contents = {
        "architecture.json": render(architecture.to_dict()),
        "metrics.json": render(metrics),
        "model.safetensors": safetensors.torch.save(state),  # drops the metadata of ``weights``
    }
    if preprocessing is not None or classes:
        if preprocessing is not None and preprocessing.kind == "events":
            preprocessing = replace(preprocessing, num_steps=architecture.num_steps)
        given = None if preprocessing is None else preprocessing.to_dict()
        contents[PREPROCESSING] = render({"preprocessing": given, "classes": [*classes]})
    claims = {"exported_at": datetime.now(UTC).isoformat(timespec="seconds"), **provenance}
    claims["versions"] = {**_versions(beside), **claims.get("versions", {})}
    network = _restore(architecture, state, "weights")
    network.preprocessing, network.classes = preprocessing, tuple(classes)
    contents |= formats.render(beside, network, normalise_input=normalise_input, nir_dt=nir_dt)
    contents[PROVENANCE] = seal(claims, architecture.key, contents)
    expected = _logits(network)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=to.parent))
        try:
            _write_files(draft, contents)
            again = load(draft, allow_plugins=True, accept_changes=True)
            if not torch.equal(_logits(again), expected):
                raise ArtefactError(f"{to}: the network read back gives other logits")
            _move(draft, to)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{to}: cannot be written: {error}") from error
    return to


def load(
    folder: str | Path, *, allow_plugins: bool = False, accept_changes: bool = False
) -> SpikingTransformer:
    """Verify an export and return its network in evaluation mode, on the CPU.

    ``allow_plugins`` imports the plugins that it names. If their code has changed, the network may
    compute something else, which needs ``accept_changes``.
    """
    _require_path("folder", folder)
    plugins, code = read_plugins_and_code(folder)
    import_plugins(plugins, of=str(folder), is_allowed=allow_plugins)
    refuse_changed(plugins, code, of=str(folder), accept_changes=accept_changes)
    contents, key = read_verified(folder)
    architecture = _architecture(contents, key, folder)
    state = _state(contents["model.safetensors"], str(folder))
    network = _restore(architecture, state, str(folder))
    if PREPROCESSING in contents:  # exports of 0.1.0 have none
        where = f"{folder}/{PREPROCESSING}"
        record = parse(contents[PREPROCESSING], where)
        network.classes = tuple(record.get("classes", ()))
        if record.get("preprocessing") is not None:
            try:
                network.preprocessing = Preprocessing.from_dict(record["preprocessing"])
            except UsageError as error:
                raise ArtefactError(f"{where}: {error}") from None
    return network


def read_architecture(path: str | Path) -> Architecture:
    """Return the architecture of an export folder, after verifying it, or of a JSON file."""
    path = Path(path)
    if path.is_dir():
        return _architecture(*read_verified(path), path)
    content = shipped.read_file(path).encode()
    try:
        return Architecture.from_dict(parse(content, "the file"))
    except (UsageError, ArtefactError) as error:
        raise UsageError(f"{path}: not an architecture: {error}") from None


def read_metrics(folder: str | Path) -> dict[str, Any]:
    """Verify an export and return its metrics."""
    contents, _ = read_verified(folder)
    return parse(contents["metrics.json"], f"{folder}/metrics.json")


def _architecture(contents: Mapping[str, bytes], key: str, folder: str | Path) -> Architecture:
    where = f"{folder}/architecture.json"
    try:
        architecture = Architecture.from_dict(parse(contents["architecture.json"], where))
    except UsageError as error:  # for example a component of a plugin that is not imported
        raise ArtefactError(f"{where}: {error}") from None
    if architecture.key != key:
        raise ArtefactError(f"{where}: has key {architecture.id}..., recorded was {key[:12]}...")
    return architecture


def _state(weights: bytes, where: str) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(weights)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ArtefactError(f"{where}: no safetensors: {error}") from None


def _restore(
    architecture: Architecture, state: Mapping[str, Tensor], where: str
) -> SpikingTransformer:
    """Build the network and load the weights, if their names and shapes match."""
    with torch.device("meta"):  # check before allocating memory
        needed = {
            name: (tuple(tensor.shape), tensor.dtype)
            for name, tensor in build_network(architecture).state_dict().items()
        }
    state = renamed(state, needed)
    given = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in state.items()}
    if given != needed:
        wrong = sorted(n for n in needed.keys() | given.keys() if needed.get(n) != given.get(n))
        raise ArtefactError(
            f"{where}: {len(wrong)} tensors are not those of architecture {architecture.id}; "
            f"{wrong[0]}: needed {needed.get(wrong[0])}, found {given.get(wrong[0])}"
        )
    network = build_network(architecture)
    network.load_state_dict(state)
    return network.eval()


def _require_path(name: str, given: object) -> None:
    if not isinstance(given, str | Path):
        raise UsageError(f"{name} = {in_short(given)}; needed: the path of a folder")


def _logits(network: SpikingTransformer) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(sample_images(network.architecture, 2))
    return logits


def _refuse_taken(to: Path, *, overwrite: bool) -> None:
    if to.is_symlink():
        raise UsageError(f"{to}: is a link; give the folder itself")
    if not to.exists():
        return
    if not overwrite:
        raise UsageError(f"{to}: exists; choose another folder, or give --overwrite")
    foreign = _foreign(to) if to.is_dir() else to.name
    if foreign is not None:
        raise UsageError(
            f"{to}: {foreign} does not belong to an export, so the folder is not overwritten; move "
            "it out, or choose another folder"
        )


def _foreign(folder: Path) -> str | None:
    """Return the name of a file that is not recorded by an export, or None."""
    recorded = set()
    with suppress(OSError, ArtefactError):
        record = parse((folder / PROVENANCE).read_bytes(), PROVENANCE)
        files = record.get("files")
        if record.get("format") == "spikenas-export" and isinstance(files, dict):
            recorded = {PROVENANCE, *files}
    for entry in sorted(folder.iterdir()):
        is_hidden = entry.name.startswith(".") and entry.is_file()  # .DS_Store, but not .git
        if not is_hidden and (entry.name not in recorded or entry.is_dir()):
            return entry.name
    return None


def _write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        with (folder / name).open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _sync(folder)


def _move(draft: Path, to: Path) -> None:
    """Rename the draft to ``to``, and keep an older export until that has succeeded."""
    old = draft.with_name(f"{draft.name}.old")
    if to.exists():
        to.rename(old)
    try:
        draft.rename(to)
        _sync(to.parent)
    except BaseException:
        if not draft.exists():
            to.rename(draft)
        if old.exists():
            old.rename(to)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Sync the directory entries of a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _versions(beside: Sequence[str]) -> dict[str, str]:
    return {
        **formats.versions(beside),
        "python": platform.python_version(),
        "safetensors": safetensors.__version__,
        "spikenas": spikenas.__version__,
        "torch": str(torch.__version__),
    }
