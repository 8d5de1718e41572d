"""Files of weights, read without running code: safetensors, or PyTorch's own format.

This is the only `torch.load` in spikenas. With ``weights_only=True`` it builds tensors and plain
containers. Only ``argparse.Namespace`` is allowed in addition, and only during this call, because
training scripts in the style of timm store their options in the file. NumPy scalars and arrays,
such as an epoch or a loss, are replaced by empty objects, and no code of NumPy is called. A
``defaultdict`` is read as a dict.
"""

import argparse
import logging
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from spikenas.exceptions import UsageError

_log = logging.getLogger(__name__)
# The keys under which training scripts store weights, in order; averages only if alone.
_PLACES = ("state_dict", "model", "module", "net", "state_dict_ema", "model_ema")
_AGAIN = (
    "needed: a .safetensors file, or what torch.save(model.state_dict(), ...) writes; download or "
    "save it again"
)
_DEEPEST = 4  # nested keys; a file may contain itself


class _PassedOver:
    """Replaces objects of a file that are not needed; stores and calls nothing."""

    def __new__(cls, *_: object) -> "_PassedOver":
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _dict(*_: object) -> dict[object, object]:
    return {}


_STAND_INS: list[Any] = [
    argparse.Namespace,
    (_dict, "collections.defaultdict"),
    *((_PassedOver, f"builtins.{name}") for name in ("dict", "float", "int", "list")),
    *((_PassedOver, f"numpy.{name}") for name in ("dtype", "ndarray")),
    *(
        (_PassedOver, f"numpy.{core}.multiarray.{name}")
        for core in ("_core", "core")  # of NumPy 2 and 1
        for name in ("scalar", "_reconstruct")
    ),
]


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` or PyTorch file; no code in it is ever run.

    Raises:
        UsageError: there is no such file, it holds code, or it holds no weights.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; needed: a .safetensors, .pth, .pt or .tar file")
    if not path.is_file():
        raise UsageError(f"{path}: no such file; needed: a .safetensors, .pth, .pt or .tar file")
    content = _safetensors(path) if path.suffix == ".safetensors" else _pytorch(path)
    return _weights(content, path)


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, ValueError, KeyError):
        raise UsageError(f"{path}: is no safetensors file, {_found(path)}; {_AGAIN}") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None


def _pytorch(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_STAND_INS):
            warnings.simplefilter("ignore")  # of pickle's protocol, before it is refused
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if _first_bytes(path)[:1] not in (b"P", b"\x80"):  # neither a zip archive nor a pickle
            raise UsageError(
                f"{path}: is no checkpoint of PyTorch, {_found(path)}; {_AGAIN}"
            ) from None
        named = re.search(r"GLOBAL (\S+)", str(error))
        raise UsageError(
            f"{path}: holds more than tensors{f' ({named[1]})' if named else ''}, and unpickling "
            "that could run code; needed: a safetensors file, or one with the weights alone: "
            "torch.save(model.state_dict(), ...), made where you trust the file"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception:  # bytes of any kind end in errors of any kind
        raise UsageError(f"{path}: is no checkpoint of PyTorch, {_found(path)}; {_AGAIN}") from None


def _weights(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the weights from everything that a training script saved."""
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        places = [key for key in _PLACES if isinstance(content.get(key), Mapping)]
        if not places:
            break
        if len(places) > 1:
            _log.warning("%s: taking %r, not %s", path.name, places[0], ", ".join(places[1:]))
        content = content[places[0]]
    found = content if isinstance(content, Mapping) else {}
    weights = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    if not weights:
        held = ", ".join(map(str, found)) or "nothing under a name"
        raise UsageError(
            f"{path}: holds no weights, but {held[:200]}; needed: names with tensors, "
            f"alone or under one of {', '.join(_PLACES)}; save model.state_dict()"
        )
    return weights


def _found(path: Path) -> str:
    """Say what the file is, or how it begins, for example as a web page."""
    size, first = path.stat().st_size, _first_bytes(path)
    if not first:
        return "it is empty"
    if first.startswith(b"PK"):
        return f"or a damaged one: {size} bytes of a zip archive without whole weights"
    if first.startswith(b"\x80") or first[8:9] == b"{":
        return f"or a damaged one: {size} bytes without whole weights"
    return f"its {size} bytes begin with {first.decode('latin-1')!a}"


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)
