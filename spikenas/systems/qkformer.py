"""QKFormer (Zhou 2024, NeurIPS): Q-K token attention for many tokens, SSA for few.

Hierarchies: CIFAR (D/4, D/2, D) of (1, 1, L - 2) blocks, ImageNet the same widths of (1, 2, L - 3),
DVS (D/2, D) of (1, L - 1). The last stage has SSA. The released code does not reset the last neuron
of SSA between samples; here it is reset (docs/explanation/published-systems.md).
"""

from collections.abc import Sequence

from spikenas.architecture import MAX_DEPTH, Architecture, Stage
from spikenas.exceptions import ArchitectureError, UsageError
from spikenas.registry import Option
from spikenas.systems.checkpoint import Names, Shapes
from spikenas.systems.variant import Setting

_LEAKS = (
    "the released {system} lets the membrane of its last attention neuron run on from one sample "
    "of a batch to the next; here each sample starts at 0, so logits differ from the released "
    "code's for batches of more than one image"
)
NOTE = _LEAKS.format(system="QKFormer")
NAMES: Names = (
    (r"\.norm\.", "_bn."),
    (r"\.(conv|linear)\.", "_conv."),
    (r"stem\.trunk\.0\.0_", "patch_embed1.proj_"),
    (r"stem\.trunk\.1\.0_", "patch_embed1.proj1_"),
    (r"stem\.branch\.(\d)\.0_", r"patch_embed1.proj<\1>_"),
    (r"stem\.shortcut_", "patch_embed1.proj_res_"),
    (r"downsampling\.0\.", "patch_embed2."),
    (r"downsampling\.1\.", "patch_embed3."),
    (r"(patch_embed\d)\.branch\.0\.0_", r"\1.{proj3|proj}_"),
    (r"(patch_embed\d)\.branch\.1\.0_", r"\1.proj4_"),
    (r"(patch_embed\d)\.shortcut_", r"\1.proj_res_"),
    (r"stages\.0\.(\d+)\.", r"stage1.\1."),
    (r"stages\.1\.(\d+)\.", r"stage2.\1."),
    (r"stages\.2\.(\d+)\.", r"stage3.\1."),
    (r"sub_blocks\.0\.branch\.", "{tssa|ssa|attn}."),
    (r"sub_blocks\.1\.branch\.", "mlp."),
    (r"attn\}\.scales\.0_", "attn}.q_"),
    (r"attn\}\.scales\.1_", "attn}.p_"),
    (r"attn\}\.projection_", "attn}.proj_"),
    (r"mlp\.fc(\d)_", r"mlp.{mlp|fc}\1_"),
    (r"head\.classifier\.", "head."),
)
UNUSED = (r"pos_embed\d?",)
ANCHORS = (
    "patch_embed1.proj_conv.weight",
    "stage1.0.mlp.{mlp|fc}1_conv.weight",
    "stage2.0.mlp.{mlp|fc}1_conv.weight",
    "head.weight",
)


def architecture(
    setting: Setting,
    *,
    widths: Sequence[int],
    mixers: Sequence[tuple[str, ...]],
    num_heads: int,
    mlp_ratios: Sequence[float],
    options: Sequence[dict[str, Option]],
) -> Architecture:
    """Return a hierarchy in the style of QKFormer."""
    downsampling = {"early_pool": setting.variant == "imagenet"}
    stages = tuple(
        Stage(
            embed_dim=width,
            depth=len(mixer),
            mixer=mixer,
            num_heads=num_heads,
            mlp_ratio=ratio,
            downsampling="deformed_shortcut" if i else None,
            options=tuple({**own, **(downsampling if i else {})}.items()),
        )
        for i, (width, mixer, ratio, own) in enumerate(
            zip(widths, mixers, mlp_ratios, options, strict=True)
        )
    )
    return Architecture(
        input=setting.input,
        num_classes=setting.num_classes,
        num_steps=setting.num_steps,
        neuron="lif",
        residual="spike",
        stem="deformed_shortcut",
        patch_size={"cifar": 1, "imagenet": 4, "dvs": 8}[setting.variant],
        stages=stages,
    )


def published(setting: Setting, depth: int, width: int, num_heads: int) -> Architecture:
    """Return ``qkformer-<depth>-<width>``; CIFAR10-DVS has an MLP ratio of 1, all others 4."""
    divisors = (2, 1) if setting.variant == "dvs" else (4, 2, 1)
    depths = split_depth("qkformer", setting, depth)
    ratio = 1.0 if setting.dataset == "cifar10dvs" else 4.0
    last = len(depths) - 1
    return architecture(
        setting,
        widths=[exact(width, divisor) for divisor in divisors],
        mixers=[("ssa" if i == last else "qk_token",) * n for i, n in enumerate(depths)],
        num_heads=num_heads,
        mlp_ratios=[ratio] * len(depths),
        options=[{}] * last + [{"qkv_bias": False}],
    )


def published_heads(setting: Setting, width: int) -> int | None:
    """Return the heads of a width: fixed in the code for CIFAR and DVS, by width on ImageNet."""
    if setting.variant == "imagenet":
        return setting.imagenet_heads(width)
    if setting.variant == "dvs":
        return 16 if width == 256 else None
    return 8


def read(shapes: Shapes, setting: Setting, num_heads: int | None) -> Architecture:
    """Return the architecture inferred from the shapes of a checkpoint."""
    if shapes.has("stage1.0.{tssa|ssa|attn}.p_conv.weight"):
        raise UsageError("the checkpoint is no qkformer: its layers are those of an msvit")
    options: list[dict[str, Option]] = [{} for _ in _before(setting)]
    options.append({"qkv_bias": False})
    return read_hierarchy(shapes, setting, num_heads, "qk_token", options)


def read_hierarchy(
    shapes: Shapes,
    setting: Setting,
    num_heads: int | None,
    mixer: str,
    options: Sequence[dict[str, Option]],
) -> Architecture:
    """Return the stages that a checkpoint of QKFormer or MSViT has; the last one has SSA."""
    widths, mixers, ratios = [], [], []
    for i in range(1, len(options) + 1):
        mlp = f"stage{i}.0.mlp.{{mlp|fc}}"
        width = shapes.size(
            f"width of stage {i}",
            (f"{mlp}1_conv.weight", 1),
            (f"{mlp}2_bn.weight", 0),
            (f"patch_embed{i}.proj_res_bn.weight", 0),
        )
        hidden = shapes.size(
            f"MLP ratio of stage {i}",
            (f"{mlp}1_conv.weight", 0),
            (f"{mlp}1_bn.weight", 0),
            default=4 * width,
        )
        widths.append(width)
        ratios.append(hidden / width)
        depth = shapes.count(rf"stage{i}\.(\d+)\.")
        mixers.append(("ssa" if i == len(options) else mixer,) * min(depth, MAX_DEPTH + 1))
    return architecture(
        setting,
        widths=widths,
        mixers=mixers,
        num_heads=shapes.heads(num_heads, *widths, known=published_heads(setting, widths[-1])),
        mlp_ratios=ratios,
        options=options,
    )


def split_depth(system: str, setting: Setting, depth: int) -> tuple[int, ...]:
    """Return the blocks of each stage."""
    before = _before(setting)
    if depth <= sum(before):
        raise ArchitectureError(
            f"{system} of depth {depth}: its stages before the last have {sum(before)} blocks "
            f"on {setting.dataset}; needed: a depth of {sum(before) + 1} or more"
        )
    return (*before, depth - sum(before))


def _before(setting: Setting) -> tuple[int, ...]:
    """Return the blocks of the stages before the last."""
    return {"cifar": (1, 1), "imagenet": (1, 2), "dvs": (1,)}[setting.variant]


def exact(width: int, divisor: int) -> int:
    """Return width / divisor, which must be a whole number."""
    if width % divisor:
        raise ArchitectureError(f"width {width} must be a multiple of {divisor}")
    return width // divisor
