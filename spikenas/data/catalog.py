"""The data sets by name: `describe` checks the files of one, `load` reads and splits it."""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from spikenas.architecture import InputSpec
from spikenas.data.event_frames import read_frames
from spikenas.data.event_sets import EVENT_SETS
from spikenas.data.image_sets import IMAGE_SETS
from spikenas.data.images import ImageSet, Splits
from spikenas.data.source import Arrays, Survey
from spikenas.data.spec import NAMES, DataInfo, DataSpec
from spikenas.data.splitting import stratified_order
from spikenas.exceptions import DataError

_TEST_SEED = 0  # fixed, so that no split_seed ever lets a search see a test image


def names() -> list[str]:
    """Return the names of the data sets, sorted."""
    return sorted(NAMES)


def describe(spec: DataSpec) -> DataInfo:
    """Return what the files promise, after checking them without reading the images.

    Raises DataError where a file is missing or truncated: which, where, and how to get it.
    """
    source = EVENT_SETS[spec.name] if spec.kind == "events" else IMAGE_SETS[spec.name]
    survey = source.survey(spec.folder, spec.image_size)
    sizes = _sizes(spec, survey)
    side = spec.image_size
    if survey.kind == "events" and side and side > min(survey.height, survey.width):
        raise DataError(
            f"image_size = {side}, but the camera of {spec.name} has {survey.height}x"
            f"{survey.width} pixels and events can only be put together; give at most that"
        )
    return DataInfo(
        name=spec.name,
        input=InputSpec(
            channels=survey.channels,
            height=side or survey.height,
            width=side or survey.width,
            kind=survey.kind,
        ),
        num_classes=survey.num_classes,
        num_train=sizes.train,
        num_validation=sizes.validation,
        num_test=sizes.test,
        mean=survey.mean,
        std=survey.std,
    )


def load(spec: DataSpec) -> Splits:
    """Read and split a data set; the last one stays in memory for the next candidate.

    Raises DataError as `describe` does, where the content is not what was promised, and where
    events come without ``num_steps``.
    """
    return _load(replace(spec, root=str(spec.folder.absolute())))


class _Sizes(NamedTuple):
    train: int
    validation: int
    test: int


def _sizes(spec: DataSpec, survey: Survey) -> _Sizes:
    test = survey.num_test or round(survey.test_fraction * survey.num_train)
    pool = survey.num_train - (0 if survey.num_test else test)
    validation = round(spec.validation_fraction * pool)
    train = pool - validation
    if min(train, test) < 1 or (spec.validation_fraction and not validation):
        raise DataError(
            f"{spec.name} has {survey.num_train} samples, too few to split into training, "
            f"validation ({spec.validation_fraction:.0%}) and test; add some"
        )
    if spec.train_subset and spec.train_subset > train:
        raise DataError(
            f"train_subset = {spec.train_subset}, but the training part of {spec.name} has "
            f"{train} samples; give at most that, or leave it out"
        )
    return _Sizes(spec.train_subset or train, validation, test)


@lru_cache(maxsize=1)
def _load(spec: DataSpec) -> Splits:
    info = describe(spec)
    arrays = _read(spec, info)
    _check_labels(spec, arrays, info)
    images, labels = torch.from_numpy(arrays.train_images), torch.from_numpy(arrays.train_labels)
    test_images, test_labels = map(torch.from_numpy, (arrays.test_images, arrays.test_labels))
    pool = torch.arange(len(labels))
    if not len(test_labels):  # the data set has no test files
        order = stratified_order(labels, _TEST_SEED)
        test, pool = order[: info.num_test], order[info.num_test :]
        test_images, test_labels = images[test], labels[test]
    order = pool[stratified_order(labels[pool], spec.split_seed)]
    validation, rest = order[: info.num_validation], order[info.num_validation :]

    def image_set(images: Tensor, labels: Tensor) -> ImageSet:
        return ImageSet(
            images=_resized(images, info.input),
            labels=labels,
            num_classes=info.num_classes,
            mean=info.mean,
            std=info.std,
        )

    kept = rest[: info.num_train]
    return Splits(
        info=info,
        train=image_set(images[kept], labels[kept]),
        validation=image_set(images[validation], labels[validation]),
        test=image_set(test_images, test_labels),
    )


def _read(spec: DataSpec, info: DataInfo) -> Arrays:
    if spec.kind == "frames":
        return IMAGE_SETS[spec.name].read(spec.folder, spec.image_size)
    if spec.num_steps is None:
        raise DataError(
            f"{spec.name} has events, so num_steps is needed: into how many frames they are "
            "binned, that is the num_steps of the network that shall read them"
        )
    return read_frames(
        spec.name,
        EVENT_SETS[spec.name],
        spec.folder,
        num_steps=spec.num_steps,
        binning=spec.binning,
        size=(info.input.height, info.input.width),
    )


def _check_labels(spec: DataSpec, arrays: Arrays, info: DataInfo) -> None:
    for part, labels in (("training", arrays.train_labels), ("test", arrays.test_labels)):
        if not len(labels):
            continue
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= info.num_classes:
            raise DataError(
                f"{spec.name} in {spec.folder}: the {part} labels go from {low} to {high}, but "
                f"{info.num_classes} classes are 0 to {info.num_classes - 1}; get the files again"
            )


def _resized(images: Tensor, size: InputSpec) -> Tensor:
    """Resize images; events were binned at the size that they shall have."""
    shape = (size.height, size.width)
    if images.shape[-2:] == shape or not len(images):
        return images
    return torch.cat(
        [
            interpolate(part, shape, mode="bilinear", antialias=True)
            for part in torch.split(images.contiguous(), 4096)
        ]
    )
