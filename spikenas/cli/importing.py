"""The command import: writes an official checkpoint as an export folder."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikenas.cli.options import FormatsOption, NormaliseOption, names, number
from spikenas.cli.output import say, say_how_to_load
from spikenas.exceptions import UnknownNameError, UsageError

if TYPE_CHECKING:
    from spikenas.nn.network import SpikingTransformer
    from spikenas.preprocessing import Preprocessing

_DATASETS = {"cifar": "cifar10", "imagenet": "imagenet"}  # whose sizes are the defaults


def import_(
    *,
    system: Annotated[
        str,
        typer.Argument(metavar="SYSTEM", help="spikformer, qkformer, msvit, sdt or stmixer."),
    ],
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="A .safetensors or PyTorch file of weights."),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to write.")],
    variant: Annotated[
        str,
        typer.Option(
            metavar="cifar|imagenet|dvs", help="The released code that the checkpoint comes from."
        ),
    ] = "cifar",
    num_steps: Annotated[
        int | None, number("Time steps.", "the paper's; required for dvs", metavar="T")
    ] = None,
    image_size: Annotated[
        int | None,
        number(
            "Side of the images, in pixels.", "32 for cifar, 224 for imagenet; required for dvs"
        ),
    ] = None,
    num_heads: Annotated[
        int | None, number("Heads.", "from the file or a published size, else required")
    ] = None,
    formats: FormatsOption = "safetensors",
    normalise_input: NormaliseOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a folder that exists.")
    ] = False,
) -> None:
    """Write a released checkpoint as an export folder.

    Every tensor must match; missing, unexpected and misshapen ones are named. No code in the file
    is ever run.

    The folder can be the ARCH of show, check, energy and search --seed-with. Prints its path.
    """
    num_steps, image_size = _sizes(system, variant, num_steps, image_size)
    import safetensors.torch

    from spikenas import export
    from spikenas.measurement import trace_architecture
    from spikenas.official import import_official, read_checkpoint

    weights = read_checkpoint(checkpoint)
    try:
        network = import_official(
            system,
            weights,
            num_steps=num_steps,
            image_size=image_size,
            variant=variant,  # type: ignore[arg-type]  # it is checked there
            num_heads=num_heads,
        )
    except UsageError as error:  # it names tensors, but not their file
        raise UsageError(f"{checkpoint}, as {system} of variant {variant!r}: {error}") from None
    with checkpoint.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    traced = trace_architecture(network.architecture)
    preprocessing, classes = _preprocessing(system, variant, network)
    folder = export.write(
        network.architecture,
        safetensors.torch.save(network.float().state_dict()),
        {"measured": False, "parameters": traced.parameters, "macs": traced.macs},
        {"system": system, "variant": variant, "checkpoint_sha256": sha256},
        to,
        beside=names(formats) or [],
        preprocessing=preprocessing,
        classes=classes,
        normalise_input=normalise_input,
        overwrite=overwrite,
    )
    print(folder)
    say_how_to_load(to)


def _preprocessing(
    system: str, variant: str, network: "SpikingTransformer"
) -> "tuple[Preprocessing | None, tuple[str, ...]]":
    """Return the preprocessing of the authors and the class names; say so if it is unknown."""
    from spikenas.data.image_sets import CIFAR10_CLASSES, CIFAR100_CLASSES
    from spikenas.systems import released_preprocessing

    found = released_preprocessing(system, variant, network.architecture)  # type: ignore[arg-type]
    if found is None:
        say(
            f"without preprocessing, as that of the released code of {system} for variant "
            f"{variant!r} and {network.architecture.num_classes} classes is unknown; normalise "
            "images as in the training of the network, and call network(images)"
        )
        return None, ()
    dataset, preprocessing = found
    say(
        f"preprocessing is that of the released code for {dataset}, judged by the variant and the "
        "number of classes; if it was fine-tuned on another data set, set network.preprocessing"
    )
    classes = {"cifar10": CIFAR10_CLASSES, "cifar100": CIFAR100_CLASSES}
    return preprocessing, classes.get(dataset, ())


def _sizes(
    system: str, variant: str, num_steps: int | None, image_size: int | None
) -> tuple[int, int]:
    """Return the given number of steps and image size, or else those of the paper."""
    from spikenas import systems

    if system not in systems.SYSTEMS:
        raise UnknownNameError("system", system, systems.SYSTEMS)
    if variant not in systems.VARIANTS:
        raise UnknownNameError("variant", variant, systems.VARIANTS)
    if variant in _DATASETS:
        setting = systems.setting_of(system, _DATASETS[variant])
        num_steps = setting.num_steps if num_steps is None else num_steps
        image_size = setting.input.height if image_size is None else image_size
    if num_steps is None or image_size is None:
        raise UsageError(
            "event data differ in steps and size, so variant dvs needs --num-steps and "
            "--image-size; published: 10 or 16 steps of 128x128 events (sdt on CIFAR10-DVS: 64x64)"
        )
    return num_steps, image_size
