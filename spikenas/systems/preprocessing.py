"""How the released codes preprocess images, by their own settings.

Means and deviations are those of the authors' files: ``cifar10.yml`` and ``cifar100.yml`` or
``conf/``, ``imagenet.yml``, and for QKFormer and MSViT on ImageNet ``util/datasets.py``. QKFormer
and STMixer take the figures of CIFAR-10 for CIFAR-100 as well. Spikformer released nothing for
CIFAR-100, MSViT no settings for CIFAR, and frames of events are made in code that differs.
"""

from spikenas.architecture import Architecture
from spikenas.preprocessing import Preprocessing
from spikenas.systems.variant import Variant

_Figures = tuple[tuple[float, float, float], tuple[float, float, float]]  # mean, deviation
_CIFAR10: _Figures = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
_CIFAR100: _Figures = ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))
_IMAGENET: _Figures = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_RELEASED = {
    ("spikformer", "cifar10"): _CIFAR10,
    ("qkformer", "cifar10"): _CIFAR10,
    ("sdt", "cifar10"): _CIFAR10,
    ("stmixer", "cifar10"): _CIFAR10,
    ("qkformer", "cifar100"): _CIFAR10,
    ("stmixer", "cifar100"): _CIFAR10,
    ("sdt", "cifar100"): _CIFAR100,
    **{
        (system, "imagenet"): _IMAGENET
        for system in ("spikformer", "qkformer", "msvit", "sdt", "stmixer")
    },
}


def released_preprocessing(
    system: str, variant: Variant, architecture: Architecture
) -> tuple[str, Preprocessing] | None:
    """Return the data set that a released network was made for, and how its images were prepared.

    The data set is recognised by the number of classes, and CIFAR by its 32 pixels. None if the
    released code does not say. Cropping and resizing are left to the user, as the codes differ.
    """
    size = architecture.input
    dataset = {
        ("cifar", 10): "cifar10",
        ("cifar", 100): "cifar100",
        ("imagenet", 1000): "imagenet",
    }.get((variant, architecture.num_classes))
    if dataset is None or size.channels != 3 or (variant == "cifar" and size.height != 32):
        return None
    if (system, dataset) not in _RELEASED:
        return None
    mean, std = _RELEASED[system, dataset]
    return dataset, Preprocessing(
        kind="frames",
        channels=3,
        channel_order="RGB",
        height=size.height,
        width=size.width,
        resize="none",
        mean=mean,
        std=std,
    )
