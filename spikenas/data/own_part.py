"""`read_part`: one part of the user's own data as arrays, checked sample by sample.

Images are kept in 8 bits, as those of every named set: augmentation, the chips' inputs and the
record of an export are made for these. Images of floats must be in 0..1, so that this is known to
be right; they are rounded by at most 1/510. Counts of events are whole and are kept as they are.

Axes: N samples, T steps of events, C channels, H, W.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from spikenas.data.source import Kind
from spikenas.exceptions import DataError, in_short

_NUM_READ_TWICE = 8
_MOST_STEPS = 64
_MOST_CLASSES = 1_000_000
_NEEDED = (
    "needed: images [N, C, H, W] of uint8, or of floats in 0..1, or event counts [N, T, C, H, W], "
    "and labels [N] of whole numbers; or a map-style Dataset of (image, label)"
)


class OwnPart(NamedTuple):
    """Samples uint8 [N, (T,) C, H, W] and labels int64 [N].

    ``form`` is what the samples were: ``uint8``, ``floats``, or ``counts``; ``rounding`` is the
    largest change of an image in 0..1 by its rounding to 8 bits.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    form: str
    rounding: float

    @property
    def kind(self) -> Kind:
        """What the samples are."""
        return "events" if self.images.ndim == 5 else "frames"


def is_array(value: object) -> bool:
    """Whether it is a tensor or an array, and so the images or the labels of a part."""
    return isinstance(value, Tensor | np.ndarray)


def is_pair_of_arrays(value: object) -> bool:
    """Whether it is (images, labels)."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    images, labels = value
    return is_array(images) and (is_array(labels) or _is_list_of_labels(labels))


def misread(given: object) -> str:
    """Return what to give instead of what is often taken for a part, else nothing."""
    if isinstance(given, torch.utils.data.DataLoader):
        return "it has batches, not samples; give its Dataset: loader.dataset"
    if isinstance(given, torch.utils.data.IterableDataset):
        return (
            "its samples have no index; give a map-style Dataset, or collect the samples in "
            "tensors (images, labels)"
        )
    given = given if isinstance(given, tuple | list) else [given]
    if any(hasattr(each, "to_numpy") for each in given):
        return "a column of a table is no array; give column.to_numpy()"
    if len(given) == 2 and _is_list_of_images(given[0]) and not is_pair_of_arrays(given[0]):
        return (
            "a list of images is no array; give np.stack(images) of arrays, torch.stack(images) of "
            "tensors, or a list of pairs: list(zip(images, labels))"
        )
    if len(given) > 2 and is_array(given[0]) and is_array(given[1]):
        return (
            "images and labels of a part are a pair: ((X, y), (X_validation, y_validation)), or "
            "((X, y), 0.1, (X_test, y_test)) where 0.1 is the share to hold out"
        )
    return ""


def read_part(given: object, name: str) -> OwnPart:
    """Read and check the samples of one part; ``name`` is how errors call it.

    Raises DataError naming the part, the first wrong sample, and what to do.
    """
    if is_pair_of_arrays(given):
        assert isinstance(given, tuple | list)
        images, labels = (_array(each, name) for each in given)
        if images.dtype.kind not in "uifb":
            raise DataError(f"{name}: the images are of {images.dtype}; {_NEEDED}")
        if images.ndim < 2 or labels.ndim == 0:
            raise DataError(
                f"{name} has images of shape {[*images.shape]} and labels of shape "
                f"{[*labels.shape]}; {_NEEDED}"
            )
        if len(images) != len(labels):
            raise DataError(
                f"{name} has {len(images)} images, but {len(labels)} labels; give one label for "
                "each image"
            )
    else:
        images, labels = _read_dataset(given, name)
    if not len(images):
        raise DataError(f"{name} has no samples; give some, or leave the part out")
    _check_shape(images, name)
    return OwnPart(*_in_8_bits(images, name, labels=_labels(labels, name)))


def _read_dataset(given: Any, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read every item of a map-style Dataset."""
    if hint := misread(given):
        raise DataError(f"{name} = {in_short(given)}; {hint}")
    if isinstance(given, str | bytes | dict) or not (
        hasattr(given, "__getitem__") and hasattr(given, "__len__")
    ):
        raise DataError(f"{name} = {in_short(given)}; {_NEEDED}")
    number = len(given)
    images: NDArray[Any] | None = None
    labels: list[Any] = []
    for index in range(number):
        image, label = _item(given, index, name)
        if images is None:
            images = np.empty((number, *image.shape), image.dtype)
        if image.shape != images.shape[1:] or image.dtype != images.dtype:
            raise DataError(
                f"{name}: item {index} has an image of {image.dtype} {[*image.shape]}, but item 0 "
                f"one of {images.dtype} {[*images.shape[1:]]}; make them alike, for example by "
                "torchvision.transforms.Resize((H, W)) in the Dataset's transform"
            )
        images[index] = image
        labels.append(label)
    if images is None:
        return np.empty((0, 1, 1, 1), np.uint8), np.empty(0, np.int64)
    for index in sorted({*range(0, number, -(-number // _NUM_READ_TWICE))}):
        if not np.array_equal(_item(given, index, name)[0], images[index], equal_nan=True):
            raise DataError(
                f"{name}: item {index} is another image when it is read again; leave random "
                "transforms out of the Dataset, as the recipe augments what is trained on"
            )
    return images, np.array(labels)


def _item(given: Any, index: int, name: str) -> tuple[NDArray[Any], Any]:
    """Return image and label of an item; whatever is wrong with it is told with its index."""
    try:
        item = given[index]
    except Exception as error:  # the user's own code may raise anything
        raise DataError(
            f"{name}: item {index} cannot be read: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise DataError(f"{name}: item {index} is {in_short(item)}; needed: (image, label)")
    image, label = item
    if isinstance(label, Tensor | np.ndarray):
        if label.size != 1 if isinstance(label, np.ndarray) else label.numel() != 1:
            raise DataError(
                f"{name}: item {index} has {in_short(label)} as label; needed: one whole number"
            )
        label = label.item()
    if isinstance(label, bool | float) or not isinstance(label, int | np.integer):
        raise DataError(f"{name}: item {index} has label {in_short(label)}; {_cure(label)}")
    if isinstance(image, Image.Image):
        return _of_pillow(image, f"{name}: item {index}"), label
    pixels = _array(image, f"{name}: item {index}") if is_array(image) else None
    if pixels is None or pixels.dtype.kind not in "uifb":
        raise DataError(
            f"{name}: item {index} has {in_short(image)} as image; needed: a tensor, an array or "
            "a PIL image"
        )
    return pixels, label


def _of_pillow(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Return a PIL image as [C, H, W]."""
    if image.mode not in ("L", "RGB"):
        raise DataError(
            f"{name} is a PIL image of mode {image.mode}; needed: L or RGB, as by "
            "image.convert('RGB')"
        )
    pixels = np.asarray(image)
    return pixels[None] if image.mode == "L" else pixels.transpose(2, 0, 1)


def _array(value: Any, where: str) -> NDArray[Any]:
    """Return a tensor, an array or a list of labels as an array, without a copy if possible."""
    if isinstance(value, np.ma.MaskedArray):
        raise DataError(f"{where} has a masked array; give array.filled(0), or without a mask")
    if not isinstance(value, Tensor):
        return np.asarray(value)
    try:
        dense = value.detach().to_dense().cpu() if value.is_sparse else value.detach().cpu()
        return np.asarray((dense.float() if dense.dtype == torch.bfloat16 else dense).numpy())
    except (NotImplementedError, RuntimeError, TypeError) as error:
        raise DataError(
            f"{where} has a tensor of {value.dtype} on {value.device} that NumPy cannot read: "
            f"{str(error).partition(chr(10))[0]}; give ordinary numbers on the CPU"
        ) from None


def _is_list_of_labels(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(each, int | float | str | np.generic) for each in value)
    )


def _is_list_of_images(value: object) -> bool:
    return isinstance(value, tuple | list) and all(
        is_array(each) or isinstance(each, Image.Image) for each in value
    )


def _check_shape(images: NDArray[Any], name: str) -> None:
    """Refuse what is neither [N, C, H, W] nor [N, T, C, H, W]; guess what was meant."""
    shape = images.shape
    if len(shape) == 3:
        hint = "add the axis of one channel: images[:, None]"
    elif len(shape) == 4 and shape[-1] in (1, 2, 3, 4) and shape[1] > 4:
        hint = (
            "the last axis looks like the channels: images.transpose(0, 3, 1, 2) of an array, "
            "images.permute(0, 3, 1, 2) of a tensor"
        )
    elif len(shape) not in (4, 5) or 0 in shape or (len(shape) == 5 and shape[1] > _MOST_STEPS):
        hint = f"T is at most {_MOST_STEPS}, and no axis is empty"
    else:
        return
    raise DataError(
        f"{name} has images of shape {[*shape]}; needed: [N, C, H, W], or [N, T, C, H, W] of "
        f"events; {hint}"
    )


def _in_8_bits(
    images: NDArray[Any], name: str, *, labels: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], str, float]:
    """Return the samples as uint8, the labels, what they were, and how much rounding changed."""
    is_events = images.ndim == 5
    if images.dtype == np.uint8:
        if not is_events and images.max() == 1:
            raise DataError(
                f"{name} has images of uint8 from 0 to 1, where white is 255; give images * 255, "
                "or floats in 0..1"
            )
        return np.ascontiguousarray(images), labels, "counts" if is_events else "uint8", 0.0
    if images.dtype.kind != "f" and not is_events:
        raise DataError(
            f"{name} has images of {images.dtype}; needed: uint8 in 0..255, as by "
            "images.to(torch.uint8) or images.astype('uint8'), or floats in 0..1"
        )
    eight = np.empty(images.shape, np.uint8)
    rounding = 0.0
    for index, sample in enumerate(images):  # so that a wrong one is named, and memory is kept
        if sample.dtype.kind == "f" and not np.isfinite(sample).all():
            raise DataError(f"{name}: sample {index} has values that are not finite; mend it")
        low, high = float(sample.min()), float(sample.max())
        if low < 0 or high > (255 if is_events else 1):
            raise DataError(f"{name}: sample {index} {_out_of_range(low, high, is_events)}")
        scaled = sample.astype(np.float64) * (1 if is_events else 255)
        whole = np.round(scaled)
        change = float(np.abs(scaled - whole).max()) / 255
        if is_events and change:
            raise DataError(
                f"{name}: sample {index} has counts of events that are not whole; give whole "
                "numbers from 0 to 255, not normalised"
            )
        rounding = max(rounding, change)
        eight[index] = whole
    return eight, labels, "counts" if is_events else "floats", rounding


def _out_of_range(low: float, high: float, is_events: bool) -> str:
    found = f"goes from {low:.6g} to {high:.6g}; needed: "
    if is_events:
        return f"{found}counts of events, whole numbers from 0 to 255"
    return (
        f"{found}floats in 0..1, or uint8. If the images are normalised, leave that out "
        "(transforms.Normalize): spikenas does it by the mean and deviation of the training "
        "images, and keeps both for exports. Of another range, scale them: "
        "(images - images.min()) / (images.max() - images.min()), by the same two numbers in "
        "every part"
    )


def _labels(labels: NDArray[Any], name: str) -> NDArray[np.int64]:
    if labels.ndim != 1:
        hint = (
            "of one-hot labels take labels.argmax(1)" if labels.ndim == 2 else "give one a sample"
        )
        raise DataError(f"{name} has labels of shape {[*labels.shape]}; needed: [N]; {hint}")
    if labels.dtype.kind not in "ui":
        for index, label in enumerate(labels.tolist()):
            if not (isinstance(label, int | float) and label % 1 == 0):
                raise DataError(
                    f"{name}: sample {index} has label {in_short(label)}; {_cure(label)}"
                )
    if labels.dtype.kind not in "uiO":  # objects are whole numbers of more than 64 bits
        raise DataError(
            f"{name} has labels of {labels.dtype}; needed: whole numbers, as by "
            "labels.long() or labels.astype('int64')"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= _MOST_CLASSES))
    if len(wrong):
        raise DataError(
            f"{name}: sample {wrong[0]} has label {labels[wrong[0]]}; labels count the classes "
            f"from 0, up to {_MOST_CLASSES - 1}"
        )
    return labels.astype(np.int64)


def _cure(label: object) -> str:
    needed = "needed: a whole number, from 0 to n - 1 for n classes"
    if not isinstance(label, str):
        return needed
    return (
        f"{needed}; of texts: names, labels = np.unique(texts, return_inverse=True), and "
        "OwnData(classes=names)"
    )
