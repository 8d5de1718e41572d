"""The data sets by name: `describe` checks the files of one, `load` reads and splits it."""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from spikenas.architecture import InputSpec
from spikenas.data.cifar import CifarSource
from spikenas.data.digits import Digits
from spikenas.data.idx import IdxSource
from spikenas.data.image_folder import ImageFolder
from spikenas.data.images import ImageSet, Splits
from spikenas.data.source import Arrays, Source, Survey
from spikenas.data.spec import NAMES, DataInfo, DataSpec
from spikenas.data.splitting import stratified_order
from spikenas.exceptions import DataError

_SOURCES: dict[str, Source] = {
    "digits": Digits(),
    "mnist": IdxSource(name="MNIST", mean=(0.1307,), std=(0.3081,)),
    "fashion_mnist": IdxSource(name="FashionMNIST", mean=(0.2860,), std=(0.3530,)),
    "cifar10": CifarSource(
        name="CIFAR10",
        subfolder="cifar-10-batches-py",
        train_files={f"data_batch_{i}": 10_000 for i in range(1, 6)},
        test_files={"test_batch": 10_000},
        labels="labels",
        num_classes=10,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    ),
    "cifar100": CifarSource(
        name="CIFAR100",
        subfolder="cifar-100-python",
        train_files={"train": 50_000},
        test_files={"test": 10_000},
        labels="fine_labels",
        num_classes=100,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
    ),
    "image_folder": ImageFolder(),
}
_TEST_FRACTION = 0.2  # of a data set without test files
_TEST_SEED = 0  # fixed, so that no split_seed ever lets a search see a test image


def names() -> list[str]:
    """Return the names of the data sets, sorted."""
    return sorted(NAMES)


def describe(spec: DataSpec) -> DataInfo:
    """Return what the files promise, after checking them without reading the images.

    Raises DataError where a file is missing or truncated: which, where, and how to get it.
    """
    survey = _SOURCES[spec.name].survey(spec.folder, spec.image_size)
    sizes = _sizes(spec, survey)
    return DataInfo(
        name=spec.name,
        input=InputSpec(
            channels=survey.channels,
            height=spec.image_size or survey.height,
            width=spec.image_size or survey.width,
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

    Raises DataError as `describe` does, and where the content is not what was promised.
    """
    return _load(replace(spec, root=str(spec.folder.absolute())))


class _Sizes(NamedTuple):
    train: int
    validation: int
    test: int


def _sizes(spec: DataSpec, survey: Survey) -> _Sizes:
    test = survey.num_test or round(_TEST_FRACTION * survey.num_train)
    pool = survey.num_train - (0 if survey.num_test else test)
    validation = round(spec.validation_fraction * pool)
    train = pool - validation
    if min(train, test) < 1 or (spec.validation_fraction and not validation):
        raise DataError(
            f"{spec.name} has {survey.num_train} images, too few to split into training, "
            f"validation ({spec.validation_fraction:.0%}) and test; add images"
        )
    if spec.train_subset and spec.train_subset > train:
        raise DataError(
            f"train_subset = {spec.train_subset}, but the training part of {spec.name} has "
            f"{train} images; give at most that, or leave it out"
        )
    return _Sizes(spec.train_subset or train, validation, test)


@lru_cache(maxsize=1)
def _load(spec: DataSpec) -> Splits:
    info = describe(spec)
    arrays = _with_test_part(_SOURCES[spec.name].read(spec.folder, spec.image_size), info)
    _check_labels(spec, arrays, info)
    order = stratified_order(torch.from_numpy(arrays.train_labels), spec.split_seed)
    validation, rest = order[: info.num_validation], order[info.num_validation :]
    images, labels = torch.from_numpy(arrays.train_images), torch.from_numpy(arrays.train_labels)
    test_images = torch.from_numpy(arrays.test_images)

    def image_set(images: Tensor, labels: Tensor) -> ImageSet:
        return ImageSet(
            images=_resized(images, info.input.height, info.input.width),
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
        test=image_set(test_images, torch.from_numpy(arrays.test_labels)),
    )


def _with_test_part(arrays: Arrays, info: DataInfo) -> Arrays:
    """Hold the test part out of the training files where the data set has no test files."""
    if len(arrays.test_labels):
        return arrays
    order = stratified_order(torch.from_numpy(arrays.train_labels), _TEST_SEED).numpy()
    test, rest = order[: info.num_test], order[info.num_test :]
    images, labels = arrays.train_images, arrays.train_labels
    return Arrays(images[rest], labels[rest], images[test], labels[test])


def _check_labels(spec: DataSpec, arrays: Arrays, info: DataInfo) -> None:
    for part, labels in (("training", arrays.train_labels), ("test", arrays.test_labels)):
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= info.num_classes:
            raise DataError(
                f"{spec.name} in {spec.folder}: the {part} labels go from {low} to {high}, but "
                f"{info.num_classes} classes are 0 to {info.num_classes - 1}; get the files again"
            )


def _resized(images: Tensor, height: int, width: int) -> Tensor:
    if images.shape[2:] == (height, width) or not len(images):
        return images
    return torch.cat(
        [
            interpolate(part, (height, width), mode="bilinear", antialias=True)
            for part in torch.split(images.contiguous(), 4096)
        ]
    )
