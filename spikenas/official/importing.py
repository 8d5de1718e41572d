"""`import_official`: from a state dict with official names to a spikenas network.

What names and shapes determine is inferred, the rest is an argument; every tensor must be used.
The network is first built without memory; nothing is copied before all names and shapes agree.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.nn.network import SpikingTransformer, build_network
from spikenas.systems import SYSTEMS, VARIANTS, Setting, Variant, input_of
from spikenas.systems.checkpoint import Match, Shape, Shapes, is_unused, match

_log = logging.getLogger(__name__)
# Of DistributedDataParallel, of torch.compile, and of a Lightning module's attribute.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
# What a training loop stores next to its network, by the first part of a name.
_BESIDE = {"accuracy", "criterion", "ema", "loss", "losses", "metric", "metrics", "model_ema"} | {
    f"{split}_{kind}" for split in ("test", "train", "val") for kind in ("acc", "metric", "metrics")
}


def import_official(
    system: str,
    state_dict: Mapping[str, Tensor],
    *,
    num_steps: int,
    image_size: int,
    variant: Variant = "cifar",
    num_heads: int | None = None,
) -> SpikingTransformer:
    """Return the network of an official checkpoint, in evaluation mode, on the CPU.

    Its weights are float32, or float64 if all given tensors are.

    Args:
        system: ``spikformer``, ``qkformer``, ``msvit``, ``sdt`` or ``stmixer``.
        state_dict: official names to tensors; a common prefix ``module.`` or ``model.`` is ignored.
        num_steps: T, which cannot be inferred from weights.
        image_size: side of the images or events, in pixels.
        variant: which of the released codes it comes from: ``cifar``, ``imagenet`` or ``dvs``.
        num_heads: needed if neither the weights nor a published configuration determine it.

    Raises:
        UsageError: an argument is wrong or missing, or tensors are missing, unexpected, not
            finite or have another shape; each is named.
    """
    if system not in SYSTEMS:
        raise UnknownNameError("system", system, SYSTEMS)
    if variant not in VARIANTS:
        raise UnknownNameError("variant", variant, VARIANTS)
    numbers = {"num_steps": num_steps, "image_size": image_size}
    if num_heads is not None:
        numbers["num_heads"] = num_heads
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{name} = {value!r}; needed: a whole number above 0")
    given = _tensors(state_dict)
    shapes = {name: tuple(tensor.shape) for name, tensor in given.items()}
    _refuse_another_system(system, shapes)
    reading = _Reading(system, shapes, num_steps, image_size, num_heads)
    try:
        network, found = reading.as_variant(variant)
    except UsageError as error:
        raise type(error)(f"{error}{reading.hint(variant)}") from None
    if found.problems:
        raise UsageError(
            f"the checkpoint is not a {system} of variant {variant!r} as released"
            f"{reading.hint(variant)}; {len(found.problems)} tensors differ:\n  "
            + "\n  ".join(found.problems)
            + "\nneeded: each tensor under the name and in the shape of the released code; rename "
            "what was renamed, or give the system and variant that it is of"
        )
    _warn_of_differences(system, list(given))
    if variant == "cifar" and network.architecture.num_classes == 1000:
        _log.warning(
            "1000 classes, but variant 'cifar': if the checkpoint is of ImageNet, give "
            "variant='imagenet'; the weights would fit both, the pooling is another"
        )
    network.load_state_dict(_state(network, given, found), assign=True)
    return network.eval()


@dataclass(frozen=True, slots=True)
class _Reading:
    """The shapes of a checkpoint, and the arguments of the caller."""

    system: str
    shapes: Mapping[str, Shape]
    num_steps: int
    image_size: int
    num_heads: int | None

    def as_variant(self, variant: Variant) -> tuple[SpikingTransformer, Match]:
        """Return the network inferred from the shapes, without memory, and its match."""
        family, known = SYSTEMS[self.system], Shapes(self.system, self.shapes)
        is_events = variant == "dvs"
        channels = known.size("input", (family.ANCHORS[0], 1), default=2 if is_events else 3)
        if (channels == 2) != is_events:
            cure = "variant='cifar' or variant='imagenet'" if is_events else "variant='dvs'"
            raise UsageError(
                f"variant = {variant!r}, but the first convolution of the checkpoint has "
                f"{channels} input channels, and only events have 2; give {cure}"
            )
        setting = Setting(
            variant=variant,
            dataset=variant,
            input=input_of(variant, self.image_size, channels),
            num_classes=known.size("classes", ("head.weight", 0), ("head.bias", 0), default=10),
            num_steps=self.num_steps,
        )
        with torch.device("meta"):
            network = build_network(family.read(known, setting, self.num_heads))
        needed = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        trunk = 2 if is_events else 1
        return network, match(family.NAMES, needed, known, unused=family.UNUSED, trunk=trunk)

    def hint(self, variant: Variant) -> str:
        """Return a hint if all tensors fit another variant."""
        for other in VARIANTS:
            if other != variant:
                try:
                    _, found = self.as_variant(other)
                except UsageError:
                    continue
                if not found.problems:
                    return f"; all of it fits variant={other!r}"
        return ""


def _tensors(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors by official name, and refuse those that are not plain and complete."""
    if not isinstance(state_dict, Mapping) or not state_dict:
        raise UsageError("the checkpoint is empty; needed: official names with their tensors")
    problems = []
    for name, tensor in state_dict.items():
        if not isinstance(name, str):
            raise UsageError(f"a tensor is under {name!r}, no text; needed: official names")
        if not isinstance(tensor, Tensor):
            raise UsageError(
                f"{name}: is {type(tensor).__module__}.{type(tensor).__name__}; needed: a "
                "torch.Tensor under a name (of NumPy: torch.from_numpy)"
            )
        if tensor.layout != torch.strided or tensor.device.type == "meta" or tensor.is_quantized:
            problems.append(f"{name}: is {tensor.layout}, on {tensor.device}")
        elif tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
            problems.append(f"{name}: holds fewer numbers than its shape {[*tensor.shape]} says")
    if problems:
        raise UsageError("needed are plain tensors in memory, but:\n  " + "\n  ".join(problems))
    given = _without_beside(dict(state_dict))
    while prefix := next((p for p in _PREFIXES if all(n.startswith(p) for n in given)), None):
        given = {name.removeprefix(prefix): tensor for name, tensor in given.items()}
    return given


def _without_beside(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop metrics, losses and averages that are stored next to a network with a prefix."""
    for prefix in _PREFIXES:
        beside = sorted(name for name in given if not name.startswith(prefix))
        if not beside or 2 * len(beside) > len(given):
            continue
        if all(name.partition(".")[0] in _BESIDE for name in beside):
            _log.warning(
                "%d tensors beside %r are not the network's and left out: %s",
                len(beside),
                prefix,
                ", ".join(beside[:3]) + (", ..." if len(beside) > 3 else ""),
            )
            return {name: tensor for name, tensor in given.items() if name.startswith(prefix)}
    return given


def _refuse_another_system(system: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise if the names are those of another system, or of no known one."""
    known = Shapes(system, shapes)
    missing = [name for name in SYSTEMS[system].ANCHORS if not known.has(name)]
    if not missing:
        return
    fitting = [
        name for name, family in SYSTEMS.items() if all(known.has(each) for each in family.ANCHORS)
    ]
    if not fitting and len(missing) < len(SYSTEMS[system].ANCHORS):
        return  # a layer was renamed: all differences will be listed
    lacking = ", ".join(known.likely(name) for name in missing)
    looks = (
        f"its names are those of {' or '.join(fitting)}; import it as that"
        if fitting
        else f"its first names are {', '.join(known.names[:3])}; known systems: "
        f"{', '.join(SYSTEMS)}"
    )
    raise UsageError(f"the checkpoint is no {system}: it lacks {lacking}; {looks}")


def _warn_of_differences(system: str, names: list[str]) -> None:
    family = SYSTEMS[system]
    unused = [name for name in names if is_unused(name, family.UNUSED)]
    unused = sorted(name for name in unused if not name.endswith("num_batches_tracked"))
    if unused:
        _log.warning(
            "%d tensors that the official code never reads are left out: %s",
            len(unused),
            ", ".join(unused[:3]) + (", ..." if len(unused) > 3 else ""),
        )
    note = getattr(family, "NOTE", None)
    if note:
        _log.warning("%s", note)


def _state(
    network: SpikingTransformer, given: Mapping[str, Tensor], found: Match
) -> dict[str, Tensor]:
    """Return copies of the tensors with our names and shapes, in one dtype."""
    names = [name for parts in found.sources.values() for name in parts]
    is_double = all(given[name].dtype == torch.float64 for name in names)
    dtype = torch.float64 if is_double else torch.float32
    used, strange = {}, []
    for name in names:
        is_real = given[name].is_floating_point()
        if is_real:
            used[name] = given[name].detach().to("cpu", dtype)
        if not is_real or not used[name].isfinite().all():
            strange.append(f"{name}: {given[name].dtype}{' with NaN or infinity' * is_real}")
    if strange:
        raise UsageError(
            f"{len(strange)} tensors hold other than finite numbers:\n  "
            + "\n  ".join(strange)
            + "\nneeded: weights of finite floating-point numbers; take another checkpoint, or one "
            "that was not quantised"
        )
    return {
        ours: torch.stack([used[name] for name in found.sources[ours]]).reshape(needed.shape)
        for ours, needed in network.state_dict().items()
    }
