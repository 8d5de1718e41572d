"""`import_official`: the weights that the authors released, as one of our networks.

What names and shapes tell is inferred, the rest is asked for; every tensor must find its place.
Files are read without running code: safetensors, or `torch.load(weights_only=True)`, where
``argparse.Namespace`` alone is allowed beside tensors, since training scripts in the manner of
timm put one into their checkpoints.
"""

import argparse
import logging
import pickle
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.nn.network import SpikingTransformer, build_network
from spikenas.systems import PUBLISHED, SYSTEMS, VARIANTS, Setting, Variant, input_of
from spikenas.systems.checkpoint import Shapes, alternatives, is_unused, official

_log = logging.getLogger(__name__)
_WRAPPERS = ("state_dict", "model", "module", "net")  # where training scripts keep the weights
_SHOWN = 20


def import_official(
    system: str,
    state_dict: Mapping[str, Tensor],
    *,
    num_steps: int,
    image_size: int,
    variant: Variant = "cifar",
    num_heads: int | None = None,
) -> SpikingTransformer:
    """Return the network of an official checkpoint, in evaluation mode.

    Args:
        system: ``spikformer``, ``qkformer``, ``msvit``, ``sdt`` or ``stmixer``.
        state_dict: official names to tensors; ``module.`` before all of them is passed over.
        num_steps: T, which no weight tells.
        image_size: side of the images or events, in pixels.
        variant: which of the released codes it comes from: ``cifar``, ``imagenet`` or ``dvs``.
        num_heads: where neither the weights nor a published configuration tell it.

    Raises:
        UsageError: something else is needed, or tensors are missing, unexpected or of another
            shape; each is named.
    """
    if system not in SYSTEMS:
        raise UnknownNameError("system", system, SYSTEMS)
    if variant not in VARIANTS:
        raise UnknownNameError("variant", variant, VARIANTS)
    for name, value in (("num_steps", num_steps), ("image_size", image_size)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{name} = {value!r}; needed: a whole number above 0")
    given = _tensors(state_dict)
    family = SYSTEMS[system]
    used = {name: t for name, t in given.items() if not is_unused(name, family.UNUSED)}
    shapes = Shapes(system, {name: tuple(tensor.shape) for name, tensor in given.items()})
    _refuse_another_system(system, shapes)
    setting = Setting(
        variant=variant,
        dataset=variant,
        input=input_of(variant, image_size, _first(shapes, family.ANCHORS)[1]),
        num_classes=shapes.of("head.weight")[0],
        num_steps=num_steps,
    )
    heads = num_heads if num_heads is not None else _heads(system, shapes, setting)
    network = _built(family.read(shapes, setting, heads))
    trunk = 2 if variant == "dvs" else 1
    state, taken, problems = _matched(network, family.NAMES, used, shapes, trunk)
    problems += [f"{name}: unexpected {_shape(used[name])}" for name in used if name not in taken]
    if problems:
        more = f"\n  ... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UsageError(
            f"the checkpoint is not a {system} of variant {variant} as released; "
            f"{len(problems)} tensors differ:\n  " + "\n  ".join(problems[:_SHOWN]) + more
        )
    unused = sorted(set(given) - set(used) - {n for n in given if n.endswith("_tracked")})
    if unused:
        _log.warning(
            "%d tensors that the official code never reads are left out: %s",
            len(unused),
            ", ".join(unused[:3]) + (", ..." if len(unused) > 3 else ""),
        )
    note = getattr(family, "NOTE", None)
    if note:
        _log.warning("%s", note)
    network.to_empty(device="cpu").to(state["head.classifier.weight"].dtype)
    network.load_state_dict(state)
    return network.eval()


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` or PyTorch file; no code in it is ever run."""
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise UsageError(
            f"{path}: holds more than tensors, which would be run as code ({reason}); "
            "ask its authors for a safetensors file, or convert it where you trust it"
        ) from None
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise UsageError(f"{path}: is no checkpoint: {reason}") from None
    except safetensors.SafetensorError as error:
        raise UsageError(f"{path}: is no safetensors file: {error}") from None
    return _unwrapped(content, path)


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not any(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise UsageError(f"{path}: holds no weights; needed: names with tensors")
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _tensors(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not state_dict:
        raise UsageError("the checkpoint is empty; needed: official names with their tensors")
    for name, tensor in state_dict.items():
        if not isinstance(tensor, Tensor):
            raise UsageError(f"{name}: is {type(tensor).__name__}; needed: a tensor")
    prefixed = all(name.startswith("module.") for name in state_dict)
    return {name.removeprefix("module.") if prefixed else name: t for name, t in state_dict.items()}


def _refuse_another_system(system: str, shapes: Shapes) -> None:
    """Raise where tensors without which nothing can be inferred are missing."""
    missing = [alternatives(name)[0] for name in SYSTEMS[system].ANCHORS if not shapes.has(name)]
    if not missing:
        return
    fitting = [
        name for name, family in SYSTEMS.items() if all(shapes.has(each) for each in family.ANCHORS)
    ]
    looks = f"; its names are those of {' or '.join(fitting)}" if fitting else ""
    near = {name: match for name in missing if (match := get_close_matches(name, shapes.names, 1))}
    hints = "".join(f"; {name} may be {match[0]}" for name, match in near.items() if not fitting)
    raise UsageError(f"the checkpoint is no {system}: it lacks {', '.join(missing)}{looks}{hints}")


def _first(shapes: Shapes, anchors: tuple[str, ...]) -> tuple[int, ...]:
    return shapes.of(anchors[0])


def _heads(system: str, shapes: Shapes, setting: Setting) -> int | None:
    """Return the heads where the code fixes them, or a published configuration has them."""
    width = shapes.of("head.weight")[1]
    depth = shapes.count(r"block\.(\d+)\.")
    datasets = {"cifar": ("cifar10",), "imagenet": ("imagenet",), "dvs": ("cifar10dvs", "dvs128")}
    is_published = any(
        f"{system}-{depth}-{width}-{dataset}" in PUBLISHED for dataset in datasets[setting.variant]
    )
    is_fixed = system in ("qkformer", "msvit") and (
        setting.variant != "imagenet" or setting.imagenet_heads(width) is not None
    )
    if not (is_published or is_fixed):
        return None
    heads: int | None = SYSTEMS[system].published_heads(setting, width)
    return heads


def _built(architecture: Any) -> SpikingTransformer:
    with torch.device("meta"):
        return build_network(architecture)


def _matched(
    network: SpikingTransformer,
    names: tuple[tuple[str, str], ...],
    used: Mapping[str, Tensor],
    shapes: Shapes,
    trunk: int,
) -> tuple[dict[str, Tensor], set[str], list[str]]:
    """Return our tensors, the official names that they came from, and what is wrong."""
    state: dict[str, Tensor] = {}
    taken: set[str] = set()
    problems: list[str] = []
    for ours, needed in network.state_dict().items():
        pattern = official(names, ours, trunk=trunk)
        parts = (
            [pattern.replace("*", str(i)) for i in range(needed.shape[0])]
            if "*" in pattern
            else [pattern]
        )
        shape = tuple(needed.shape[1:] if "*" in pattern else needed.shape)
        found = []
        for part in parts:
            name = shapes.found(part)
            if name is None or name not in used:
                problems.append(f"{alternatives(part)[0]}: missing, needed {_text(shape)}")
                continue
            taken.add(name)
            if _without_ones(used[name].shape) != _without_ones(shape):
                problems.append(f"{name}: is {_shape(used[name])}, needed {_text(shape)}")
                continue
            found.append(used[name].reshape(shape))
        if len(found) == len(parts):
            joined = torch.stack(found) if "*" in pattern else found[0]
            is_half = joined.dtype in (torch.float16, torch.bfloat16)
            state[ours] = joined.detach().float() if is_half else joined.detach().clone()
    return state, taken, problems


def _without_ones(shape: tuple[int, ...] | torch.Size) -> tuple[int, ...]:
    """Return the shape without trailing ones: 1x1 kernels are linear maps."""
    text = tuple(shape)
    while len(text) > 1 and text[-1] == 1:
        text = text[:-1]
    return text


def _shape(tensor: Tensor) -> str:
    return _text(tuple(tensor.shape))


def _text(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
