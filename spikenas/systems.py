"""The published systems as architectures: ``spikformer-4-384-cifar10`` and its kin.

A name is ``<system>-<depth>-<width>-<dataset>``. `PUBLISHED` holds the configurations that papers
report, with their figures; any other depth and width of a system can be named too.
"""

import re
from dataclasses import dataclass

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.exceptions import UnknownNameError, UsageError

_NAME = re.compile(r"([a-z]+)-([1-9]\d{0,2})-([1-9]\d{0,4})-([a-z0-9]+)")
_IMAGES = {
    "cifar10": (InputSpec(channels=3, height=32, width=32), 10),
    "cifar100": (InputSpec(channels=3, height=32, width=32), 100),
    "imagenet": (InputSpec(channels=3, height=224, width=224), 1000),
}
_IMAGENET_HEADS = {384: 6, 512: 8, 768: 12}  # by width
_SYSTEMS = ("spikformer", "stmixer")
_MISSING = {
    "qkformer": "the stem 'deformed_shortcut' and its downsampling",
    "msvit": "the mixer 'multi_scale' and the stem 'deformed_shortcut'",
    "sdt": "the mixer 'spike_driven' and the stem 'sps_membrane'",
    "stas": "the stem 'i_sps' and halting",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSystem:
    """What a paper reports of one configuration; None where we know no figure to trust.

    Attributes:
        parameters: of the authors' code, without parameters that its forward pass never uses.
        accuracy: top-1 on the test set, 0 to 1.
        energy_mj: per inference, by the paper's own formula.
        source: where the figures stand.
    """

    name: str
    parameters: int
    accuracy: float | None = None
    energy_mj: float | None = None
    source: str


# Parameters follow from the layer shapes of the official code; those of spikformer-4-384-cifar10,
# spikformer-8-512-imagenet, stmixer-4-384-cifar10 and stmixer-8-512-imagenet (8 heads) were counted
# in it too.
_SPIKFORMER = "Zhou 2023 (Spikformer)"
_STMIXER = "Deng 2024 (STMixer)"
PUBLISHED = {
    system.name: system
    for system in (
        PublishedSystem(
            name="spikformer-4-256-cifar10",
            parameters=4_155_178,
            source=_SPIKFORMER,
        ),
        PublishedSystem(
            name="spikformer-4-256-cifar100",
            parameters=4_178_308,
            source=_SPIKFORMER,
        ),
        PublishedSystem(
            name="spikformer-2-384-cifar10",
            parameters=5_765_050,
            source=_SPIKFORMER,
        ),
        PublishedSystem(
            name="spikformer-2-384-cifar100",
            parameters=5_799_700,
            source=_SPIKFORMER,
        ),
        PublishedSystem(
            name="spikformer-4-384-cifar10",
            parameters=9_324_730,
            accuracy=0.9519,  # 300 epochs; 0.9551 after 400
            source=f"{_SPIKFORMER}, CIFAR table, 300 epochs",
        ),
        PublishedSystem(
            name="spikformer-4-384-cifar100",
            parameters=9_359_380,
            accuracy=0.7786,  # 300 epochs; 0.7821 after 400
            source=f"{_SPIKFORMER}, CIFAR table, 300 epochs",
        ),
        PublishedSystem(
            name="spikformer-8-384-imagenet",
            parameters=16_816_024,
            accuracy=0.7024,
            energy_mj=7.734,
            source=f"{_SPIKFORMER}, ImageNet table",
        ),
        PublishedSystem(
            name="spikformer-6-512-imagenet",
            parameters=23_373_352,
            source=_SPIKFORMER,
        ),
        PublishedSystem(
            name="spikformer-8-512-imagenet",
            parameters=29_689_384,
            accuracy=0.7338,
            energy_mj=11.577,
            source=f"{_SPIKFORMER}, ImageNet table",
        ),
        PublishedSystem(
            name="spikformer-10-512-imagenet",
            parameters=36_005_416,
            accuracy=0.7368,
            energy_mj=13.899,
            source=f"{_SPIKFORMER}, ImageNet table",
        ),
        PublishedSystem(
            name="spikformer-8-768-imagenet",
            parameters=66_338_632,
            accuracy=0.7481,
            energy_mj=21.477,
            source=f"{_SPIKFORMER}, ImageNet table",
        ),
        PublishedSystem(
            name="stmixer-4-384-cifar10",
            parameters=8_223_674,
            accuracy=0.9601,
            source=f"{_STMIXER}, as quoted by SMixer (ICLR 2026)",
        ),
        PublishedSystem(
            name="stmixer-4-384-cifar100",
            parameters=8_258_324,
            accuracy=0.8187,
            source=f"{_STMIXER}, as quoted by SMixer (ICLR 2026)",
        ),
        PublishedSystem(
            name="stmixer-8-512-imagenet",
            parameters=27_666_984,
            source=_STMIXER,
        ),
        PublishedSystem(
            name="stmixer-8-768-imagenet",
            parameters=59_938_120,  # with 12 heads; the paper does not say how many
            accuracy=0.7668,
            energy_mj=4.45,
            source=f"{_STMIXER}, as quoted by SMixer (ICLR 2026)",
        ),
    )
}


def published_names() -> list[str]:
    """Return the configurations that papers report, in the order of the table."""
    return list(PUBLISHED)


def published(name: str, *, num_heads: int | None = None) -> Architecture:
    """Return a published system as an architecture.

    Args:
        name: ``<system>-<depth>-<width>-<dataset>``, for any depth and width.
        num_heads: needed for widths that were never published; else it overrides.

    Raises UnknownNameError, or UsageError where an operator or the number of heads is missing.
    """
    system, depth, width, dataset = _parsed(name)
    images, num_classes = _IMAGES[dataset]
    heads = num_heads or _published_heads(system, width, dataset)
    if heads is None:
        divisors = [h for h in range(1, min(width, 64) + 1) if width % h == 0]
        raise UsageError(
            f"{name}: no paper says how many heads width {width} has; give num_heads=, "
            f"one of {', '.join(map(str, divisors))}"
        )
    is_imagenet = dataset == "imagenet"
    patch_size = 16 if is_imagenet else 4
    if system == "spikformer":
        return Architecture(
            input=images,
            num_classes=num_classes,
            num_steps=4,
            neuron="lif",
            residual="spike",
            stem="sps",
            patch_size=patch_size,
            stages=(
                Stage(
                    embed_dim=width,
                    depth=depth,
                    mixer=("ssa",),
                    num_heads=heads,
                    options=(("qkv_bias", not is_imagenet),),  # Linear there, convolutions here
                ),
            ),
        )
    return Architecture(
        input=images,
        num_classes=num_classes,
        num_steps=1 if is_imagenet else 4,
        neuron="stmixer_lif",
        residual="membrane",
        stem="conv_side",
        patch_size=patch_size,
        stages=(Stage(embed_dim=width, depth=depth, mixer=("stm",), num_heads=heads),),
    )


def _parsed(name: str) -> tuple[str, int, int, str]:
    match = _NAME.fullmatch(name)
    system = name.partition("-")[0]
    if system in _MISSING:
        raise UsageError(
            f"{name}: {system} needs {_MISSING[system]}, which spikenas does not have yet; "
            f"it has {', '.join(_SYSTEMS)}"
        )
    if not match or system not in _SYSTEMS or match[4] not in _IMAGES:
        raise UnknownNameError(
            "published system",
            name,
            PUBLISHED,
            hint=f"A name is <system>-<depth>-<width>-<dataset>, with any depth and width, "
            f"a system of {', '.join(_SYSTEMS)} and a dataset of {', '.join(_IMAGES)}",
        )
    return system, int(match[2]), int(match[3]), match[4]


def _published_heads(system: str, width: int, dataset: str) -> int | None:
    if dataset == "imagenet":
        return _IMAGENET_HEADS.get(width)
    if system == "stmixer":
        return 16
    return width // 32 if width % 32 == 0 else None  # heads of 32 channels
