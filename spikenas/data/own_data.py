"""`OwnData`: the user's own tensors or Datasets in place of a named data set.

What is given is read once, checked whole, and kept as 8-bit arrays; see `spikenas.data.own_part`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from spikenas.data.own_part import OwnPart, is_array, is_pair_of_arrays, misread, read_part
from spikenas.data.own_samples import OwnSamples
from spikenas.data.source import Arrays, Survey
from spikenas.data.spec import DataSpec
from spikenas.exceptions import DataError, in_short

Part = Dataset[Any] | Sequence[Any]
_LEAST_STD = 1 / 255
_CHUNK = 1024
_SHARE = 0.1
_NAME = "own"
_SETTINGS = ("name", "image_size", "train_subset", "split_seed")
_FORMS = (
    "needed: the name of a data set, a DataSpec, an OwnData, (train, validation), or (train, "
    "validation, test), where each part is a map-style Dataset or (images, labels), validation may "
    "be the share of train to hold out, and test None"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OwnData:
    """Data of your own for `search`: three parts, each a map-style Dataset or tensors.

    A part is a ``torch.utils.data.Dataset`` of (image, label), where the image is a tensor or an
    array [C, H, W], or a PIL image; or it is a pair of tensors or arrays, images [N, C, H, W] and
    labels [N]. Images are uint8, or floats in 0..1, which are kept in 8 bits. Frames of events are
    [T, C, H, W] a sample, whole counts from 0 to 255. All parts have one shape and labels 0, 1, ...
    Normalisation and augmentation are left out: spikenas takes mean and deviation of the training
    images, and augments by the recipe. Everything is read once and held in memory.

    Attributes:
        train: the samples to train on.
        validation: those that a search scores candidates on, or the share of ``train``, up to
            0.5, to hold out for it, evenly from all classes; None is a tenth.
        test: those that only the final front is scored on; None: it has no test accuracy.
        classes: their names by label; None takes ``train.classes``, as torchvision's have it,
            else the numbers.
        name: how tables and exports call the data.
        image_size: side in pixels to resize to; None keeps the images' own.
        train_subset: train on so many samples only, evenly from all classes.
        split_seed: draws which samples are held out for validation.
    """

    train: Part
    validation: Part | float | None = None
    test: Part | None = None
    classes: Sequence[str] | None = None
    name: str = _NAME
    image_size: int | None = None
    train_subset: int | None = None
    split_seed: int = 0

    def spec(self) -> DataSpec:
        """Read and check everything; return it as what `search` works with.

        Raises DataError, a UsageError, naming the part and the first sample that is wrong.
        """
        share = _SHARE if self.validation is None else self.validation
        share = float(share) if isinstance(share, Real) else share
        if isinstance(share, float) and not 0 < share <= 0.5:
            raise DataError(
                f"validation = {share:g}; as a share of the training samples it must be above 0 "
                "and at most 0.5"
            )
        parts = {"train": read_part(self.train, "train")}
        if not isinstance(share, float):
            parts["validation"] = read_part(share, "validation")
        if self.test is not None:
            parts["test"] = read_part(self.test, "test")
        _refuse_unlike(parts)
        classes, note = self._classes(parts)
        return DataSpec(
            name=self.name,
            image_size=self.image_size,
            train_subset=self.train_subset,
            validation_fraction=share if isinstance(share, float) else _SHARE,
            split_seed=self.split_seed,
            own=OwnSamples.of(_survey(parts, classes, note), _arrays(parts)),
        )

    def _classes(self, parts: Mapping[str, OwnPart]) -> tuple[tuple[str, ...], str]:
        """Return the names of the classes, or their numbers, and a note if names are left out.

        Labels beyond the names are refused.
        """
        highest, part = max((int(each.labels.max()), name) for name, each in parts.items())
        note = ""
        given: Any = self.classes
        if given is None:
            given = getattr(self.train, "classes", None)
            if not isinstance(given, tuple | list) or len(given) <= highest:
                if isinstance(given, tuple | list):
                    note = (
                        f"the classes of train have {len(given)} names, but labels go up to "
                        f"{highest}, so classes are named by number; name them by OwnData(classes=)"
                    )
                _refuse_gaps(parts["train"].labels, highest)
                given = [str(label) for label in range(highest + 1)]
        given = given.tolist() if isinstance(given, np.ndarray) else given
        is_list = isinstance(given, Sequence) and not isinstance(given, str)
        if not is_list or not all(isinstance(each, str) for each in given):
            raise DataError(f"classes = {in_short(given)}; needed: a list of names by label")
        if len(set(given)) != len(given):
            raise DataError(f"classes = {in_short(given)} has a name twice")
        if highest >= len(given):
            raise DataError(
                f"{part} has label {highest}, but classes has {len(given)} of the {highest + 1} "
                f"names needed, one for each label from 0 to {highest}"
            )
        if len(given) < 2:
            raise DataError(f"train has {len(given)} class; two are the least")
        return tuple(given), note


Data = str | Path | DataSpec | OwnData | Part


def data_spec(data: Data, **changes: Any) -> DataSpec:
    """Return what `search` is given as ``data`` as a `DataSpec`, with some settings changed.

    A pair is (train, validation), a triple (train, validation, test); one part alone is ``train``.
    Raises UsageError for anything else.
    """
    changes = {name: value for name, value in changes.items() if value is not None}
    if isinstance(data, str | Path):
        return DataSpec(name=str(data), **changes)
    if isinstance(data, DataSpec):
        return replace(data, **changes) if changes else data
    if not isinstance(data, OwnData):
        data = _own(data)
    if "root" in changes:
        raise DataError("data_root is where the files of a named data set lie; leave it out")
    spec: DataSpec = data.spec()
    return replace(spec, **changes) if changes else spec


def given_settings(data: Data) -> dict[str, Any]:
    """Return the settings that ``data`` of the user's own has beside its samples, by `DataSpec`.

    Those that are left at their defaults are left out.
    """
    if isinstance(data, str | Path):
        return {}
    data = data if isinstance(data, DataSpec | OwnData) else _own(data)
    found = {name: getattr(data, name) for name in _SETTINGS}
    found = {name: value for name, value in found.items() if value not in (None, 0, _NAME)}
    if isinstance(data, OwnData) and isinstance(data.validation, Real):
        found["validation_fraction"] = float(data.validation)
    if isinstance(data, DataSpec) and data.validation_fraction != _SHARE:
        found["validation_fraction"] = data.validation_fraction
    return found


def _own(data: Part) -> OwnData:
    """Return tuples and Datasets as what they stand for."""
    if isinstance(data, Dataset) or is_pair_of_arrays(data):
        return OwnData(train=data)
    if hint := misread(data):
        raise DataError(f"data = {in_short(data)}; {hint}")
    if isinstance(data, tuple | list) and len(data) in (2, 3) and not any(map(is_array, data)):
        return OwnData(**dict(zip(("train", "validation", "test"), data, strict=False)))
    raise DataError(f"data = {in_short(data)}; {_FORMS}")


def _refuse_unlike(parts: Mapping[str, OwnPart]) -> None:
    """Refuse parts whose samples are of other shapes or types than those of ``train``."""
    train = parts["train"]
    for name, part in parts.items():
        if part.images.shape[1:] != train.images.shape[1:]:
            raise DataError(
                f"{name} has samples of shape {[*part.images.shape[1:]]}, but train of "
                f"{[*train.images.shape[1:]]}; make them alike"
            )
        if part.form != train.form:
            raise DataError(
                f"{name} has images of {part.form}, but train of {train.form}; make them alike, "
                "as the two have different ranges"
            )


def _refuse_gaps(labels: NDArray[np.int64], highest: int) -> None:
    missing = np.flatnonzero(np.bincount(labels, minlength=highest + 1) == 0)
    if len(missing):
        raise DataError(
            f"train has no sample of label {missing[0]}; without names of classes, labels count "
            f"0, 1, 2, ... without a gap{': labels - 1' * bool(list(missing) == [0])}"
        )


def _repeated(parts: Mapping[str, OwnPart]) -> Iterator[str]:
    """Yield a note on each part that has samples of the training part, to the byte."""
    others = {name: part for name, part in parts.items() if name != "train"}
    known = {_digest(sample) for sample in parts["train"].images} if others else set()
    for name, part in others.items():
        if number := sum(_digest(sample) in known for sample in part.images):
            yield (
                f"{number} of {len(part.images)} samples of {name} are in train too, to the byte, "
                "so its accuracy is not that of new samples; leave them out of one of the two"
            )


def _digest(sample: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(sample).data, digest_size=16).digest()


def _survey(parts: Mapping[str, OwnPart], classes: tuple[str, ...], note: str) -> Survey:
    train = parts["train"]
    *steps, channels, height, width = train.images.shape[1:]
    is_events = train.kind == "events"
    mean, std = (0.0,) * channels, (1 / 255,) * channels
    if not is_events:
        mean, std = _mean_and_std(train.images)
    sizes = {name: len(part.labels) for name, part in parts.items()}
    rounding = max(part.rounding for part in parts.values())
    rounded = (
        f"images of floats are kept in 8 bits; the largest change is {rounding:.2g} of 0..1"
        if rounding > 1e-6
        else ""
    )
    return Survey(
        kind=train.kind,
        channels=channels,
        height=height,
        width=width,
        num_classes=len(classes),
        classes=classes,
        num_train=sizes["train"],
        num_validation=sizes.get("validation", 0),
        num_test=sizes.get("test", 0),
        test_fraction=0.0,
        mean=mean,
        std=std,
        num_steps=tuple(steps),
        notes=tuple(filter(None, [note, rounded, *_repeated(parts)])),
    )


def _mean_and_std(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return both per channel, of images [N, C, H, W] in 0..1; a constant channel has 1/255."""
    counts = np.zeros((images.shape[1], 256), np.int64)  # exact, whatever the order of sums
    for start in range(0, len(images), _CHUNK):
        part = images[start : start + _CHUNK]
        for channel in range(len(counts)):
            counts[channel] += np.bincount(part[:, channel].ravel(), minlength=256)
    grey = np.arange(256) / 255
    mean = counts @ grey / counts.sum(1)
    variance = (counts * (grey - mean[:, None]) ** 2).sum(1) / counts.sum(1)
    std = np.maximum(np.sqrt(variance), _LEAST_STD)
    return tuple(map(float, mean)), tuple(map(float, std))


def _arrays(parts: Mapping[str, OwnPart]) -> Arrays:
    train, test, validation = (parts.get(name) for name in ("train", "test", "validation"))
    assert train is not None
    return Arrays(
        train_images=train.images,
        train_labels=train.labels,
        test_images=test.images if test else train.images[:0],
        test_labels=test.labels if test else train.labels[:0],
        validation_images=validation.images if validation else None,
        validation_labels=validation.labels if validation else None,
    )
