"""STMixer (Deng 2024, NeurIPS): token mixing by trained matrices, for chips without a clock.

The matrices have as many rows as there are tokens, so a checkpoint fits only one image size. For
event data it is as for CIFAR, 8x8 tokens, from 128x128 events.
"""

from math import isqrt

from spikenas.architecture import Architecture, Stage
from spikenas.exceptions import UsageError
from spikenas.systems.checkpoint import Names, Shape, Shapes
from spikenas.systems.variant import Setting

NAMES: Names = (
    *((rf"stem\.main\.{i}\.conv\.", f"patch_embd.proj_conv.{3 * i}.") for i in range(5)),
    *((rf"stem\.main\.{i}\.norm\.", f"patch_embd.proj_conv.{3 * i + 1}.") for i in range(5)),
    (r"stem\.side\.conv\.", "patch_embd.short_proj1.0."),
    (r"stem\.side\.norm\.", "patch_embd.short_proj1.1."),
    (r"stages\.0\.(\d+)\.sub_blocks\.0\.branch\.", r"block.\1.token_mix."),
    (r"stages\.0\.(\d+)\.sub_blocks\.1\.branch\.", r"block.\1.channel_mix."),
    (r"mix\.fc(\d)\.linear\.", r"mix.fc\1.1."),
    (r"mix\.fc(\d)\.norm\.", r"mix.fc\1.2."),
    (r"mix\.mixing\.weight", "mix.attn.linear_mix.*.weight"),
    (r"head\.classifier\.", "head."),
)
UNUSED = ()
ANCHORS = (
    "patch_embd.proj_conv.0.weight",
    "patch_embd.short_proj1.0.weight",
    "block.0.token_mix.attn.linear_mix.0.weight",
    "block.0.channel_mix.fc1.1.weight",
    "head.weight",
)


def published(
    setting: Setting,
    depth: int,
    width: int,
    num_heads: int,
    mlp_ratio: float = 4.0,
    *,
    patch_size: int | None = None,
) -> Architecture:
    """Return ``stmixer-<depth>-<width>``."""
    return Architecture(
        input=setting.input,
        num_classes=setting.num_classes,
        num_steps=setting.num_steps,
        neuron="stmixer_lif",
        residual="membrane",
        stem="conv_side",
        patch_size=patch_size or (4 if setting.variant == "cifar" else 16),
        stages=(
            Stage(
                embed_dim=width,
                depth=depth,
                mixer=("stm",),
                num_heads=num_heads,
                mlp_ratio=mlp_ratio,
            ),
        ),
    )


def published_heads(setting: Setting, width: int) -> int | None:
    """Return the heads of a width: 16, on ImageNet by width."""
    return setting.imagenet_heads(width) if setting.variant == "imagenet" else 16


def read(shapes: Shapes, setting: Setting, num_heads: int | None) -> Architecture:
    """Return the architecture inferred from a checkpoint; there is a matrix for each head."""
    width = shapes.size(
        "width",
        ("head.weight", 1),
        ("patch_embd.proj_conv.10.weight", 0),
        ("block.0.token_mix.fc1.2.weight", 0),
    )
    hidden = shapes.size(
        "MLP ratio",
        ("block.0.channel_mix.fc1.1.weight", 0),
        ("block.0.channel_mix.fc1.2.weight", 0),
        default=4 * width,
    )
    patch_size = shapes.size(
        "patch size",
        ("patch_embd.short_proj1.0.weight", 2),
        default=16 if setting.variant == "imagenet" else 4,
    )
    told = shapes.count(r"block\.\d+\.token_mix\.attn\.linear_mix\.(\d+)\.")
    matrix = shapes.shape("block.0.token_mix.attn.linear_mix.0.weight")
    _refuse_other_grid(matrix, setting.input.height, patch_size)
    depth, heads = shapes.count(r"block\.(\d+)\."), shapes.heads(num_heads, width, told=told)
    return published(setting, depth, width, heads, hidden / width, patch_size=patch_size)


def _refuse_other_grid(matrix: Shape | None, image_size: int, patch_size: int) -> None:
    """Raise if the token matrices do not have as many rows as the image has tokens."""
    if not matrix:
        return
    tokens, side = matrix[0], -(-image_size // patch_size)
    fitting = isqrt(tokens)
    if side * side != tokens:
        cure = f"; give image_size={fitting * patch_size}" if fitting * fitting == tokens else ""
        raise UsageError(
            f"the matrices of this stmixer are of {tokens}x{tokens} tokens, but images of "
            f"{image_size} in patches of {patch_size} have {side * side}{cure}"
        )
