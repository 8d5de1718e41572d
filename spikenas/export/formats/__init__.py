"""Export formats for other runtimes: one module each, and one entry in `FORMATS`.

`ExportFormat` is the protocol. An installed package can register its own format in the entry-point
group ``spikenas.export_formats``. The metadata of each file describe the preprocessing and the
classes of the network, see `metadata_of`.
"""

import json
import tempfile
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from spikenas.exceptions import InfeasibleError, UnknownNameError, UsageError, in_short
from spikenas.installed import blamed, load, offered, told
from spikenas.nn.network import SpikingTransformer

WEIGHTS = "safetensors"  # always written
GROUP = "spikenas.export_formats"
_TAKEN = {f"{name}.json" for name in ("architecture", "metrics", "preprocessing", "provenance")}
_TAKEN |= {"model.safetensors", "model.nir", "model.onnx", "model.pt2"}


class ExportFormat(Protocol):
    """A format in which other runtimes can read a network."""

    @property
    def file(self) -> str:
        """The name of the file in the export folder."""

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages that it imports; those of our formats are an extra of the same name."""

    def write(self, network: SpikingTransformer, path: Path, *, pixels: bool = False) -> None:
        """Write the network, read it back and compare; with ``pixels`` it takes images in 0..1.

        Raises InfeasibleError naming every operation that the format cannot express.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Module:
    """One of our formats; its module is imported when it is needed."""

    file: str
    module: str
    packages: tuple[str, ...] = ()

    def write(
        self, network: SpikingTransformer, path: Path, *, pixels: bool = False, **settings: float
    ) -> None:
        module = import_module(f"{__name__}.{self.module}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters warn about their own internals
            try:
                module.write(network, path, pixels=pixels, **settings)
            except RuntimeError as error:  # PyTorch's exporters raise many kinds
                raise InfeasibleError(
                    f"format {self.module!r} cannot express this network, its exporter says: "
                    f"{str(error).strip().partition(chr(10))[0]}; leave {self.module!r} out"
                ) from error


FORMATS: dict[str, ExportFormat] = {
    "nir": _Module(file="model.nir", module="nir", packages=("nir",)),
    "onnx": _Module(
        file="model.onnx", module="onnx", packages=("onnx", "onnxruntime", "onnxscript")
    ),
    "pt2": _Module(file="model.pt2", module="pt2"),
}


def checked(names: Iterable[str]) -> tuple[str, ...]:
    """Return the formats beside the weights, sorted; UsageError if a package is missing."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UsageError(f"formats = {in_short(names)}; needed: a list, as ['onnx']")
    chosen = sorted(set(names) - {WEIGHTS})
    for name in chosen:
        absent = [package for package in format_of(name).packages if find_spec(package) is None]
        if absent:
            raise UsageError(
                f"format {name!r} needs {', '.join(absent)}, which this Python does not have; "
                f"get it with: pip install 'spikenas[{name}]'"
            )
    return tuple(chosen)


def format_of(name: str) -> ExportFormat:
    """Return a format by name, ours or that of an installed package."""
    if name in FORMATS:
        return FORMATS[name]
    entry = offered(GROUP).get(name)
    if entry is None:
        raise UnknownNameError("format", name, [WEIGHTS, *FORMATS, *offered(GROUP)])
    found: ExportFormat = load(entry)
    file = getattr(found, "file", None)
    is_name = isinstance(file, str) and Path(file).name == file and file not in _TAKEN
    is_list = isinstance(getattr(found, "packages", None), tuple)
    if not (is_name and is_list and callable(getattr(found, "write", None))):
        raise UsageError(
            f"{told(entry)} gives {in_short(found)}; needed: an ExportFormat with file, the name "
            "of a file of its own, packages, and write(network, path, pixels=False)"
        )
    return found


def render(
    names: Iterable[str],
    network: SpikingTransformer,
    *,
    normalise_input: bool = False,
    nir_dt: float | None = None,
) -> dict[str, bytes]:
    """Return the files of the formats by name, each read back and compared.

    With ``normalise_input`` the graphs take images in 0..1 and normalise them by
    ``network.preprocessing``. ``nir_dt`` is the time step for NIR, in seconds.
    """
    names = [*names]
    settings = {"nir": _nir_settings(names, nir_dt)}
    if normalise_input:
        _refuse_normalisation(names, network)
    files = {}
    for name in names:
        form = format_of(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / form.file
            with nullcontext() if name in FORMATS else blamed(offered(GROUP)[name], "fails"):
                form.write(network, path, pixels=normalise_input, **settings.get(name, {}))
            if not path.is_file():
                raise UsageError(f"format {name!r} wrote no {path.name}; its package must be fixed")
            files[path.name] = path.read_bytes()
    return files


def _nir_settings(names: list[str], dt: float | None) -> dict[str, float]:
    """Return the settings of the NIR format; UsageError if they cannot be applied."""
    if dt is None:
        return {}
    if "nir" not in names:
        raise UsageError(f"--nir-dt {dt:g} is for NIR: add --format nir, or leave it out")
    if not 1e-9 <= dt <= 1e3:
        raise UsageError(f"--nir-dt {dt:g}: needed: the time step in seconds, 1e-9 to 1000")
    return {"step_seconds": dt}


def _refuse_normalisation(names: list[str], network: SpikingTransformer) -> None:
    """Raise UsageError if no graph could normalise its input."""
    how = network.preprocessing
    if not names:
        raise UsageError(
            "--normalise-input is for the graph of a format: add --format onnx, pt2 or nir, or use "
            "spikenas.load(DIR).predict(images), which takes 0..1 images"
        )
    if network.architecture.input.kind == "events":
        raise UsageError(
            "--normalise-input is for images; events are counts, which networks take as they are"
        )
    if how is None:
        raise UsageError(
            "--normalise-input needs the mean and deviation of the images, which are unknown for "
            "this network; leave it out and normalise before the graph"
        )


def metadata_of(network: SpikingTransformer, *, pixels: bool) -> dict[str, str]:
    """Return the metadata about images and classes that every format contains, if known.

    ``preprocessing`` and ``classes`` are JSON, as in ``preprocessing.json``. ``input_range`` is
    that of the graph's input: ``0..1``, ``normalised``, or ``counts`` of events.
    """
    is_events = network.architecture.input.kind == "events"
    known = {"input_range": "0..1" if pixels else "counts" if is_events else "normalised"}
    if network.preprocessing is not None:
        known["preprocessing"] = json.dumps(network.preprocessing.to_dict(), sort_keys=True)
    if network.classes:
        known["classes"] = json.dumps(network.classes)
    return known


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the packages that wrote the formats."""
    packages = [package for name in names for package in format_of(name).packages]
    return {package: metadata.version(package) for package in packages}
