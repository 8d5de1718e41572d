"""Spikformer (Zhou 2023, ICLR): spiking self-attention on sums of spikes.

The authors released different code for each variant: CIFAR (linear layers with biases, two max
pools), ImageNet and DVS (1x1 convolutions, q, k and v without bias, four pools; scale 0.25 on DVS).
"""

from spikenas.architecture import Architecture, Stage
from spikenas.exceptions import UsageError
from spikenas.systems.checkpoint import Names, Shapes, alternatives
from spikenas.systems.figures import is_published
from spikenas.systems.variant import Setting, width_over_32

NAMES: Names = (
    (r"\.norm\.", "_bn."),
    (r"stem\.stages\.0\.0\.conv\.", "patch_embed.proj_conv."),
    (r"stem\.stages\.0\.0_bn\.", "patch_embed.proj_bn."),
    (r"stem\.stages\.(\d)\.0\.conv\.", r"patch_embed.proj_conv\1."),
    (r"stem\.stages\.(\d)\.0_bn\.", r"patch_embed.proj_bn\1."),
    (r"stem\.position\.conv\.", "patch_embed.rpe_conv."),
    (r"stem\.position_bn\.", "patch_embed.rpe_bn."),
    (r"stages\.0\.(\d+)\.sub_blocks\.0\.branch\.", r"block.\1.attn."),
    (r"stages\.0\.(\d+)\.sub_blocks\.1\.branch\.", r"block.\1.mlp."),
    (r"attn\.projection", "attn.proj"),
    (r"\.linear\.", "_{linear|conv}."),
    (r"head\.classifier\.", "head."),
)
UNUSED = (r"block\.\d+\.norm[12]\..*", r"norm\..*", r"(.*\.)?pos_embed")
ANCHORS = ("patch_embed.proj_conv.weight", "block.0.mlp.fc1_{linear|conv}.weight", "head.weight")


def published(
    setting: Setting, depth: int, width: int, num_heads: int, mlp_ratio: float = 4.0
) -> Architecture:
    """Return ``spikformer-<depth>-<width>``."""
    is_cifar = setting.variant == "cifar"
    options = {"qkv_bias": is_cifar, "scale": 0.25 if setting.variant == "dvs" else 0.125}
    return Architecture(
        input=setting.input,
        num_classes=setting.num_classes,
        num_steps=setting.num_steps,
        neuron="lif",
        residual="spike",
        stem="sps",
        patch_size=4 if is_cifar else 16,
        stages=(
            Stage(
                embed_dim=width,
                depth=depth,
                mixer=("ssa",),
                num_heads=num_heads,
                mlp_ratio=mlp_ratio,
                options=tuple(options.items()),
            ),
        ),
    )


def published_heads(setting: Setting, width: int) -> int | None:
    """Return the number of heads for a width, None if no source states it."""
    if setting.variant == "dvs":
        return 16 if width == 256 else None
    return width_over_32(width) if setting.variant == "cifar" else setting.imagenet_heads(width)


def read(shapes: Shapes, setting: Setting, num_heads: int | None) -> Architecture:
    """Return the architecture inferred from the shapes of a checkpoint."""
    q = "block.0.attn.q_{linear|conv}.weight"
    if len(shapes.shape(q) or ()) == 4:  # Conv2d, here it is Linear or Conv1d
        raise UsageError("the checkpoint is no spikformer: its layers are those of an sdt")
    is_linear = shapes.found(q) == alternatives(q)[0]
    if shapes.has(q) and is_linear != (setting.variant == "cifar"):
        fitting = "'cifar'" if is_linear else "'imagenet' or 'dvs'"
        raise UsageError(
            f"variant = {setting.variant!r}, but the layers of this spikformer checkpoint are "
            f"those of variant {fitting}; give that"
        )
    width, mlp_ratio = read_sizes(shapes)
    depth = shapes.count(r"block\.(\d+)\.")
    is_known = is_published("spikformer", depth, width, setting.variant)
    known = published_heads(setting, width) if is_known else None
    heads = shapes.heads(num_heads, width, known=known)
    return published(setting, depth, width, heads, mlp_ratio)


def read_sizes(shapes: Shapes) -> tuple[int, float]:
    """Return width and MLP ratio of a checkpoint of Spikformer or SDT."""
    width = shapes.size(
        "width",
        ("head.weight", 1),
        ("patch_embed.rpe_bn.weight", 0),
        ("block.0.mlp.fc2_bn.weight", 0),
    )
    hidden = shapes.size(
        "MLP ratio",
        ("block.0.mlp.fc1_{linear|conv}.weight", 0),
        ("block.0.mlp.fc1_bn.weight", 0),
        default=4 * width,
    )
    return width, hidden / width
