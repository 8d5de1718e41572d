"""The Spike-Driven Transformer (SDT; Yao 2023, NeurIPS), version 1: masks and sums on a membrane.

The stem pools by data set: twice for CIFAR and for CIFAR10-DVS at 64x64, three times for DVS128
Gesture, four times for ImageNet. On event data attention pools as well.
"""

from spikenas.architecture import Architecture, Stage
from spikenas.exceptions import UsageError
from spikenas.systems import spikformer
from spikenas.systems.checkpoint import Names, Shapes
from spikenas.systems.figures import is_published
from spikenas.systems.variant import Setting, width_over_32

NAMES: Names = spikformer.NAMES  # one code base
UNUSED = (r"block\.\d+\.attn\.talking_heads\..*",)
ANCHORS = ("patch_embed.proj_conv.weight", "block.0.mlp.fc1_{conv|linear}.weight", "head.weight")


def published(
    setting: Setting, depth: int, width: int, num_heads: int, mlp_ratio: float = 4.0
) -> Architecture:
    """Return ``sdt-<depth>-<width>``."""
    pools = {"cifar": 2, "dvs": 2 if setting.input.height <= 64 else 3, "imagenet": 4}
    return Architecture(
        input=setting.input,
        num_classes=setting.num_classes,
        num_steps=setting.num_steps,
        neuron="lif",
        residual="membrane",
        stem="sps_membrane",
        patch_size=2 ** pools[setting.variant],
        stages=(
            Stage(
                embed_dim=width,
                depth=depth,
                mixer=("spike_driven",),
                num_heads=num_heads,
                mlp_ratio=mlp_ratio,
                options=(("event_pooling", setting.variant == "dvs"),),
            ),
        ),
        head="neuron_linear",
    )


def published_heads(setting: Setting, width: int) -> int | None:
    """Return the number of heads for a width, None if no source states it.

    Heads only matter for the pooling on event data; for width 256 we take those of CIFAR.
    """
    if setting.variant == "imagenet":
        return setting.imagenet_heads(width)
    if setting.variant == "dvs":
        return 8 if width == 256 else None
    return 8 if width == 512 else width_over_32(width)


def read(shapes: Shapes, setting: Setting, num_heads: int | None) -> Architecture:
    """Return the architecture inferred from a checkpoint; an unused layer has the heads."""
    q = shapes.shape("block.0.attn.q_{linear|conv}.weight")
    if q is not None and len(q) < 4:  # Linear or Conv1d, here it is Conv2d
        raise UsageError("the checkpoint is no sdt: its layers are those of a spikformer")
    width, mlp_ratio = spikformer.read_sizes(shapes)
    told = shapes.shape("block.0.attn.talking_heads.weight")
    depth = shapes.count(r"block\.(\d+)\.")
    is_known = is_published("sdt", depth, width, setting.variant)
    known = published_heads(setting, width) if is_known else None
    heads = shapes.heads(num_heads, width, told=told[0] if told else None, known=known)
    return published(setting, depth, width, heads, mlp_ratio)
