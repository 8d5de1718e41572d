"""import: an official checkpoint as an export folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikenas.cli.options import FormatsOption, NormaliseOption, names
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
            metavar="cifar|imagenet|dvs", help="Which of the released codes it comes from."
        ),
    ] = "cifar",
    num_steps: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="T", help="Time steps.", show_default="the paper's; required for dvs"
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Side of the images, in pixels.",
            show_default="32 for cifar, 224 for imagenet; required for dvs",
        ),
    ] = None,
    num_heads: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Heads.", show_default="as told or published, else asked"
        ),
    ] = None,
    formats: FormatsOption = "safetensors",
    normalise_input: NormaliseOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a folder that exists.")
    ] = False,
) -> None:
    """Write a network that its authors released as an export folder.

    Every tensor must find its place; what differs is named. No code in the file is ever run.

    The folder is an ARCH of show, check, energy and search --seed-with. Prints the folder.
    """
    num_steps, image_size = _sizes(system, variant, num_steps, image_size)
    from spikenas import export
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
    except UsageError as error:  # of tensors, which do not know their file
        raise UsageError(f"{checkpoint}, as {system} of variant {variant!r}: {error}") from None
    origin = {"system": system, "variant": variant, "checkpoint_sha256": _sha256(checkpoint)}
    content, metrics = _contents(network)
    preprocessing, classes = _preprocessing(system, variant, network)
    folder = export.write(
        network.architecture,
        content,
        metrics,
        origin,
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
    """Return how the authors prepared their images, and the classes; say where it is not known."""
    from spikenas.data.image_sets import CIFAR10_CLASSES, CIFAR100_CLASSES
    from spikenas.systems import released_preprocessing

    found = released_preprocessing(system, variant, network.architecture)  # type: ignore[arg-type]
    if found is None:
        say(
            f"without preprocessing, as the released code of {system} for variant {variant!r} "
            f"and {network.architecture.num_classes} classes has none that is known; normalise "
            "images as the network's training did and give them to network(images)"
        )
        return None, ()
    dataset, preprocessing = found
    say(
        f"preprocessing is that of the released code for {dataset}, which the variant and the "
        "number of classes tell; fine-tuned on another data set, set network.preprocessing"
    )
    classes = {"cifar10": CIFAR10_CLASSES, "cifar100": CIFAR100_CLASSES}
    return preprocessing, classes.get(dataset, ())


def _sizes(
    system: str, variant: str, num_steps: int | None, image_size: int | None
) -> tuple[int, int]:
    """Return steps and image size: as given, else those of the paper."""
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


def _contents(network: "SpikingTransformer") -> tuple[bytes, dict[str, Any]]:
    """Return the weights as safetensors, and metrics that say that nothing was measured."""
    import safetensors.torch

    from spikenas.measurement import trace_architecture

    weights = safetensors.torch.save(network.float().state_dict())
    traced = trace_architecture(network.architecture)
    return weights, {"measured": False, "parameters": traced.parameters, "macs": traced.macs}


def _sha256(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
