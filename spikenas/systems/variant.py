"""The variants of the released codes: the data set, and with it sizes, steps and heads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from spikenas.architecture import InputSpec

Variant = Literal["cifar", "imagenet", "dvs"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
_IMAGENET_HEADS = {384: 6, 512: 8, 768: 12}  # by width, for every system


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The data that a system is made for; ``dataset`` is the name of a data set or variant."""

    variant: Variant
    dataset: str
    input: InputSpec
    num_classes: int
    num_steps: int

    def imagenet_heads(self, width: int) -> int | None:
        """Return the heads of the published ImageNet widths."""
        return _IMAGENET_HEADS.get(width)


_VARIANTS: Mapping[str, tuple[Variant, int, int]] = {  # variant, side, classes
    "cifar10": ("cifar", 32, 10),
    "cifar100": ("cifar", 32, 100),
    "imagenet": ("imagenet", 224, 1000),
    "cifar10dvs": ("dvs", 128, 10),
    "dvs128": ("dvs", 128, 11),
}
DATASETS = tuple(_VARIANTS)


def datasets(variant: Variant) -> list[str]:
    """Return the data sets of a variant."""
    return [name for name, (of, _, _) in _VARIANTS.items() if of == variant]


def setting_of(system: str, dataset: str) -> Setting:
    """Return the setting in which a paper reports a system on a data set."""
    variant, side, num_classes = _VARIANTS[dataset]
    if (system, dataset) == ("sdt", "cifar10dvs"):
        side = 64
    steps = {"cifar": 4, "imagenet": 1 if system == "stmixer" else 4, "dvs": 16}
    return Setting(
        variant=variant,
        dataset=dataset,
        input=input_of(variant, side, 2 if variant == "dvs" else 3),
        num_classes=num_classes,
        num_steps=steps[variant],
    )


def input_of(variant: Variant, side: int, channels: int) -> InputSpec:
    """Return square frames, or events for ``dvs``."""
    kind: Literal["frames", "events"] = "events" if variant == "dvs" else "frames"
    return InputSpec(channels=channels, height=side, width=side, kind=kind)


def width_over_32(width: int) -> int | None:
    """Return the number of heads of 32 channels, None if 32 does not divide the width."""
    return width // 32 if width % 32 == 0 else None
