"""MSViT (IJCAI 2025), a descendant of QKFormer whose token attention sees several scales.

Widths are (D/2, D/2, D), blocks as in QKFormer. Attention neurons have threshold 1, also in SSA:
the released builder ignores the 0.5 in its arguments. The CIFAR-100 file differs from that for
CIFAR-10: its second scale has kernel 1 and a value per channel. No code was released for events.
"""

from spikenas.architecture import Architecture
from spikenas.exceptions import UsageError
from spikenas.registry import Option
from spikenas.systems import qkformer
from spikenas.systems.checkpoint import Names, Shapes
from spikenas.systems.variant import Setting

NOTE = qkformer.NOTE.replace("QKFormer", "MSViT")
NAMES: Names = qkformer.NAMES
UNUSED = qkformer.UNUSED
ANCHORS = qkformer.ANCHORS
_SSA: dict[str, Option] = {"qkv_bias": False, "attention_threshold": 1.0}


def published(setting: Setting, depth: int, width: int, num_heads: int) -> Architecture:
    """Return ``msvit-<depth>-<width>``."""
    _refuse_events(setting)
    depths = qkformer.split_depth("msvit", setting, depth)
    scales = _scales(1 if setting.dataset == "cifar100" else 3)
    half = qkformer.exact(width, 2)
    return qkformer.architecture(
        setting,
        widths=(half, half, width),
        mixers=[("multi_scale",) * n for n in depths[:-1]] + [("ssa",) * depths[-1]],
        num_heads=num_heads,
        mlp_ratios=(4.0, 4.0, 4.0),
        options=(scales, scales, _SSA),
    )


def published_heads(setting: Setting, width: int) -> int | None:
    """Return the heads of a width: 8 on CIFAR, by width on ImageNet."""
    return setting.imagenet_heads(width) if setting.variant == "imagenet" else 8


def read(shapes: Shapes, setting: Setting, num_heads: int | None) -> Architecture:
    """Return the architecture inferred from the shapes of a checkpoint."""
    _refuse_events(setting)
    if not shapes.has("stage{1|2}.0.{tssa|ssa|attn}.p_{conv|bn}.weight"):
        raise UsageError("the checkpoint is no msvit: its layers are those of a qkformer")
    options = []
    for i in (1, 2):
        kernel = shapes.shape(f"stage{i}.0.{{tssa|ssa|attn}}.p_conv.weight") or (0, 0, 3)
        options.append(_scales(kernel[2] if len(kernel) > 2 else 1))
    return qkformer.read_hierarchy(shapes, setting, num_heads, "multi_scale", [*options, _SSA])


def _scales(size: int) -> dict[str, Option]:
    """Return the options of the two scales that were released: kernel 3, or 1 element-wise."""
    return {"scales": (1, size), "elementwise": size == 1}


def _refuse_events(setting: Setting) -> None:
    if setting.variant == "dvs":
        raise UsageError(
            "msvit on event data: the authors released no code for it; "
            "take a qkformer, or cifar10, cifar100 or imagenet"
        )
