"""Formats that others run, beside the weights: one file each, and one line in `FORMATS`.

A module of a format has `write(network, path, pixels)`; with ``pixels`` the graph takes images in
0..1 and normalises them itself. It reads back what it wrote and compares, and it
raises InfeasibleError naming every operation that the format cannot express. What the network
knows of its images and classes goes into the file's metadata, see `metadata_of`.
"""

import json
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

from spikenas.exceptions import InfeasibleError, UnknownNameError, UsageError
from spikenas.nn.network import SpikingTransformer

WEIGHTS = "safetensors"  # always written


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """What is known of a format before it is imported.

    Attributes:
        file: its name in the export folder.
        packages: what the extra of the format's name installs.
    """

    file: str
    module: str
    packages: tuple[str, ...] = ()


_HERE = "spikenas.export.formats"
FORMATS = {
    "nir": Format(file="model.nir", module=f"{_HERE}.nir", packages=("nir",)),
    "onnx": Format(
        file="model.onnx",
        module=f"{_HERE}.onnx",
        packages=("onnx", "onnxruntime", "onnxscript"),
    ),
    "pt2": Format(file="model.pt2", module=f"{_HERE}.pt2"),
}


def checked(names: Iterable[str]) -> tuple[str, ...]:
    """Return the formats beside the weights, sorted; UsageError where one cannot be had."""
    chosen = sorted(set(names) - {WEIGHTS})
    for name in chosen:
        if name not in FORMATS:
            raise UnknownNameError("format", name, [WEIGHTS, *FORMATS])
        absent = [package for package in FORMATS[name].packages if find_spec(package) is None]
        if absent:
            raise UsageError(
                f"format {name!r} needs {', '.join(absent)}, which this Python does not have; "
                f"get it with: pip install 'spikenas[{name}]'"
            )
    return tuple(chosen)


def render(
    names: Iterable[str],
    network: SpikingTransformer,
    *,
    normalise_input: bool = False,
    nir_dt: float | None = None,
) -> dict[str, bytes]:
    """Return the files of the formats by their names, each read back and compared.

    With ``normalise_input`` the graphs take images in 0..1, by ``network.preprocessing``. With
    ``nir_dt`` NIR is for simulators whose step lasts so many seconds.
    """
    names = [*names]
    settings = {"nir": _nir_settings(names, nir_dt)}
    if normalise_input:
        _refuse_normalisation(names, network)
    files = {}
    for name in names:
        module = import_module(FORMATS[name].module)
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what exporters say of their own insides
            path = Path(folder) / FORMATS[name].file
            try:
                module.write(network, path, pixels=normalise_input, **settings.get(name, {}))
            except RuntimeError as error:  # the exporters of PyTorch end in errors of many kinds
                raise InfeasibleError(
                    f"format {name!r} cannot express this network, its exporter says: "
                    f"{str(error).strip().partition(chr(10))[0]}; leave {name!r} out"
                ) from error
            files[path.name] = path.read_bytes()
    return files


def _nir_settings(names: list[str], dt: float | None) -> dict[str, float]:
    """Return what NIR alone is told; raise UsageError where nothing could come of it."""
    if dt is None:
        return {}
    if "nir" not in names:
        raise UsageError(f"--nir-dt {dt:g} is for the graph of NIR: add --format nir, or leave it")
    if not 1e-9 <= dt <= 1e3:
        raise UsageError(f"--nir-dt {dt:g}: needed: the seconds of a step, 1e-9 to 1000")
    return {"step_seconds": dt}


def _refuse_normalisation(names: list[str], network: SpikingTransformer) -> None:
    """Raise UsageError where no graph could normalise its input."""
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
            "--normalise-input needs the mean and deviation of the images, which nobody knows of "
            "this network; leave it out and normalise before the graph"
        )


def metadata_of(network: SpikingTransformer, *, pixels: bool) -> dict[str, str]:
    """Return what any format says of a network's images and classes, where they are known.

    ``preprocessing`` and ``classes`` are JSON, as in ``preprocessing.json``; ``input_range`` is
    what the graph takes: ``0..1``, what is ``normalised`` already, or ``counts`` of events.
    """
    is_events = network.architecture.input.kind == "events"
    told = {"input_range": "0..1" if pixels else "counts" if is_events else "normalised"}
    if network.preprocessing is not None:
        told["preprocessing"] = json.dumps(network.preprocessing.to_dict(), sort_keys=True)
    if network.classes:
        told["classes"] = json.dumps(network.classes)
    return told


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the packages that wrote the formats."""
    packages = [package for name in names for package in FORMATS[name].packages]
    return {package: metadata.version(package) for package in packages}
