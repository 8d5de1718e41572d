"""Checkpoints as the authors' code would save them, made of our networks: the map inverted."""

import torch
from torch import Tensor

from spikenas.architecture import Architecture
from spikenas.nn.network import SpikingTransformer, build_network
from spikenas.systems import SYSTEMS, Setting, Variant, input_of
from spikenas.systems.checkpoint import alternatives, official

UNUSED = {  # a layer that the official code builds and never reads
    "spikformer": {"block.0.norm1.weight": (32,), "block.1.norm2.bias": (32,)},
    "sdt": {"block.0.attn.talking_heads.weight": (4, 4, 1)},
}


def architecture(
    system: str,
    variant: Variant,
    image_size: int,
    *,
    dataset: str | None = None,
    num_steps: int = 2,
    depth: int | None = None,
    width: int = 32,
    num_heads: int = 4,
) -> Architecture:
    """Return a tiny network of a released variant."""
    setting = Setting(
        variant=variant,
        dataset=dataset or variant,
        input=input_of(variant, image_size, 2 if variant == "dvs" else 3),
        num_classes=5,
        num_steps=num_steps,
    )
    deepest = 4 if system in ("qkformer", "msvit") else 2
    made = SYSTEMS[system].published(setting, depth or deepest, width, num_heads)
    assert isinstance(made, Architecture)
    return made


def network(genes: Architecture, seed: int = 0) -> SpikingTransformer:
    """Return a network whose batch norms are not the identity, so that it spikes unevenly."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    made = build_network(genes).eval()
    for name, tensor in made.state_dict().items():
        if tensor.dim() == 1:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.25)
        if name.endswith("mean"):
            tensor.sub_(0.75)
    return made


def checkpoint(made: SpikingTransformer, system: str, variant: Variant) -> dict[str, Tensor]:
    """Return its weights under official names and in official shapes, with what is never read."""
    family, trunk = SYSTEMS[system], 2 if variant == "dvs" else 1
    last = len(made.stages)
    saved = {}
    for ours, tensor in made.state_dict().items():
        pattern = official(family.NAMES, ours, trunk=trunk)
        name = next(n for n in alternatives(pattern) if _is_of(n, system, variant, last))
        if "*" in name:
            saved |= {name.replace("*", str(i)): each.clone() for i, each in enumerate(tensor)}
        else:
            ones = _trailing_ones(name, tensor, system, variant)
            saved[name] = tensor.reshape(*tensor.shape, *[1] * ones).clone()
        if name.endswith("running_var"):
            saved[name.replace("running_var", "num_batches_tracked")] = torch.tensor(7)
    saved |= {name: torch.ones(shape) for name, shape in UNUSED.get(system, {}).items()}
    return saved


def _is_of(name: str, system: str, variant: Variant, last: int) -> bool:
    """Whether this alternative is the one that the file of the variant has."""
    if system in ("spikformer", "sdt"):
        other = "_conv." if (system, variant) == ("spikformer", "cifar") else "_linear."
        return not name.startswith("block") or other not in name
    if system == "stmixer":
        return True
    if ".mlp." in name:
        return (".mlp.fc" in name) == (variant == "imagenet")
    if name.startswith(f"stage{last}."):
        return (".attn." if variant == "imagenet" else ".ssa.") in name
    return ".tssa." in name or not name.startswith("stage")


def _trailing_ones(name: str, tensor: Tensor, system: str, variant: Variant) -> int:
    """Return what the released kernels have more axes than our linear maps."""
    is_linear = (system, variant) == ("spikformer", "cifar")
    if not name.endswith("weight") or "bn" in name or is_linear:
        return 0
    if system == "stmixer":
        return int(".fc" in name and ".1.weight" in name)
    if not name.startswith(("block", "stage")):
        return 0
    if "p_conv" in name:
        return 3 - tensor.dim()
    if system == "sdt":
        return 2
    is_flat = ".mlp." not in name or (system, variant) == ("spikformer", "dvs")
    return 1 if is_flat else 2
