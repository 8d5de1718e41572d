"""The data sets by name: `describe` checks the files of one, `load` reads and splits it."""

import warnings
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from spikenas.architecture import InputSpec
from spikenas.code import sources
from spikenas.data import content as contents
from spikenas.data.array_cache import LabelledImages, cached_arrays
from spikenas.data.event_frames import read_frames
from spikenas.data.event_layouts import survey as event_survey
from spikenas.data.event_sets import EVENT_SETS
from spikenas.data.images import ImageSet, Splits
from spikenas.data.source import Arrays, Survey
from spikenas.data.spec import DataInfo, DataSpec, source_of
from spikenas.data.splitting import stratified_order
from spikenas.exceptions import DataError

_TEST_SEED = 0  # fixed, so that no split_seed ever lets a search see a test image
_LEAST = 2
_NAMED = 5  # so many missing classes are named


def describe(spec: DataSpec) -> DataInfo:
    """Return what the files promise, after checking them without reading the images.

    Raises DataError where a file is missing or truncated: which, where, and how to get it.
    """
    survey = _survey(spec)
    sizes = _sizes(spec, survey)
    side = spec.image_size
    if survey.kind == "events" and side and side > min(survey.height, survey.width):
        raise DataError(
            f"image_size = {side}, but the events of {spec.name} have {survey.height}x"
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
        classes=survey.classes or tuple(map(str, range(survey.num_classes))),
        notes=survey.notes,
        num_steps=survey.num_steps,
        own_parts=tuple(
            part
            for part, size in (("validation", survey.num_validation), ("test", survey.num_test))
            if size
        ),
    )


def load(spec: DataSpec, content_sha256: str | None = None) -> Splits:
    """Read and split a data set; the last one stays in memory for the next candidate.

    Raises DataError as `describe` does, where the content is not what was promised, and where
    events come without ``num_steps``; also where ``content_sha256`` is given and the files found
    are others.
    """
    if spec.own is None:
        spec = replace(spec, root=str(spec.folder.absolute()))
    describe(spec)  # what is missing is best named there
    found = contents.content_sha256(spec)
    if content_sha256 not in (None, found):
        raise DataError(
            f"{spec.place} has other content than expected: its SHA-256 "
            f"is {found}, not {content_sha256}; put the files back, or name their folder as root"
        )
    return _load(spec, found)


def _survey(spec: DataSpec) -> Survey:
    if spec.own is not None:
        survey = spec.own.survey
        if survey.num_steps and spec.num_steps not in (None, *survey.num_steps):
            raise DataError(
                f"{spec.place} has frames of events for num_steps = {survey.num_steps[0]}, but "
                f"num_steps = {spec.num_steps} is asked for; give a space whose num_steps is "
                f"{survey.num_steps[0]}, or bin the events into {spec.num_steps} frames"
            )
        return survey
    if spec.kind == "events":
        return event_survey(EVENT_SETS[spec.name], spec.folder, spec.binning, spec.num_steps)
    return source_of(spec).survey(spec.folder, spec.image_size)


class _Sizes(NamedTuple):
    train: int
    validation: int
    test: int


def _sizes(spec: DataSpec, survey: Survey) -> _Sizes:
    test = survey.num_test or round(survey.test_fraction * survey.num_train)
    pool = survey.num_train - (0 if survey.num_test else test)
    validation = survey.num_validation or round(spec.validation_fraction * pool)
    train = pool - (0 if survey.num_validation else validation)
    if (
        train < 1
        or (test < 1 and survey.test_fraction)
        or (spec.validation_fraction and not validation)
    ):
        raise DataError(
            f"{spec.name} has {survey.num_train} samples, too few to split into training, "
            f"validation ({100 * spec.validation_fraction:g} %) and test; add some"
        )
    if spec.train_subset and spec.train_subset > train:
        raise DataError(
            f"train_subset = {spec.train_subset}, but the training part of {spec.name} has "
            f"{train} samples; give at most that, or leave it out"
        )
    if (spec.train_subset or train) < _LEAST:
        raise DataError(
            f"{spec.name}: {spec.train_subset or train} sample to train on is too few for batch "
            f"norm; give at least {_LEAST}"
        )
    return _Sizes(spec.train_subset or train, validation, test)


@lru_cache(maxsize=1)
def _load(spec: DataSpec, content: str) -> Splits:
    """Cut the images, which lie in the order test, validation, train, into these parts."""
    info = describe(spec)
    if spec.kind == "events" and spec.num_steps is None:
        raise DataError(
            f"{spec.name} has events, so num_steps is needed: into how many frames they are "
            "binned, that is the num_steps of the network that shall read them"
        )
    is_binned = spec.kind == "events"
    arrays = cached_arrays(
        f"{spec.name}-T{spec.num_steps}-{spec.binning}" if is_binned else spec.name,
        _origin(spec, info, content),
        partial(_ordered, spec, info, content),
    )
    images, labels = torch.from_numpy(arrays.images), torch.from_numpy(arrays.labels)

    def part(start: int, number: int) -> ImageSet:
        return ImageSet(
            images=images[start : start + number],
            labels=labels[start : start + number],
            num_classes=info.num_classes,
            mean=info.mean,
            std=info.std,
        )

    splits = Splits(
        info=info,
        test=part(0, info.num_test),
        validation=part(info.num_test, info.num_validation),
        train=part(info.num_test + info.num_validation, info.num_train),
    )
    return replace(splits, info=replace(info, notes=(*info.notes, *_lacking(spec, splits))))


def _origin(spec: DataSpec, info: DataInfo, content: str) -> dict[str, object]:
    """Return all that the images and their order follow from; parts and subsets are cuts."""
    return {
        "data": spec.name,
        "content_sha256": content,
        "size": (info.input.height, info.input.width),
        "num_steps": spec.num_steps,
        "binning": spec.binning,
        "split_seed": spec.split_seed,
        "code": sources(filter(None, (__name__, spec.plugin))),
    }


def _ordered(spec: DataSpec, info: DataInfo, content: str) -> LabelledImages:
    """Read all images: those of the test part, then the others in stratified order.

    Any validation part is then a prefix of the others, and any training part follows it. A
    validation part that the data set has itself stands between the two.
    """
    arrays = _read(spec, info)
    if contents.content_sha256(spec) != content:
        raise DataError(f"{spec.place} changed while it was read; try again when it is at rest")
    _check_labels(spec, arrays, info)
    images, labels = _tensor(arrays.train_images), _tensor(arrays.train_labels)
    test_images, test_labels = _tensor(arrays.test_images), _tensor(arrays.test_labels)
    test, pool = torch.arange(len(test_labels)), torch.arange(len(labels))
    if not len(test_labels):  # the data set has no test files
        order = stratified_order(labels, _TEST_SEED)
        test, pool = order[: info.num_test], order[info.num_test :]
        test_images, test_labels = images, labels
    pool = pool[stratified_order(labels[pool], spec.split_seed)]
    parts = [(test_images, test_labels, test)]
    if arrays.validation_images is not None and arrays.validation_labels is not None:
        held_out = _tensor(arrays.validation_labels)
        rows = torch.arange(len(held_out))
        parts.append((_tensor(arrays.validation_images), held_out, rows))
    parts.append((images, labels, pool))
    steps = () if spec.num_steps is None else (spec.num_steps,)
    shape = (*steps, info.input.channels, info.input.height, info.input.width)
    every = torch.empty((sum(len(rows) for *_, rows in parts), *shape), dtype=torch.uint8)
    start = 0
    for source, _, rows in parts:
        to = every[start : start + len(rows)]
        torch.index_select(_resized(source, info.input), 0, rows, out=to)
        start += len(rows)
    samples = "images" if spec.kind == "frames" else "recordings"
    if all(torch.equal(image, every[0]) for image in every):
        raise DataError(
            f"{spec.place}: all {len(every)} {samples} are equal, so "
            "nothing can be learnt from them; look whether they hold what was meant"
            + (" (transparent images are put on white)" if spec.kind == "frames" else "")
        )
    every_label = torch.cat([of_part[rows] for _, of_part, rows in parts])
    return LabelledImages(every.numpy(), every_label.numpy())


def _lacking(spec: DataSpec, splits: Splits) -> tuple[str, ...]:
    """Return a note on each part that lacks a class since so few samples were cut for it.

    Raises DataError where the files of the data set lack one: those of its test or validation
    part, or those that the other parts are cut from. Data of the user's own may lack one in a
    test or validation part.
    """
    own = splits.info.own_parts
    parts = {"training": splits.train, "validation": splits.validation, "test": splits.test}
    pool = {name: part for name, part in parts.items() if name not in own}
    if spec.train_subset is None:
        labels = torch.cat([part.labels for part in pool.values()])
        if named := _missing(labels, splits.info):
            raise DataError(
                f"{spec.place}: its {len(labels)} training samples have none of "
                f"class {named}; add some, or take the class out of every part"
            )
    notes = []
    for name, part in parts.items():
        named = _missing(part.labels, splits.info)
        if not len(part) or not named:
            continue
        found = f"{spec.place}: the {name} part, of {len(part)} samples, has none of class {named}"
        if name in own and spec.own is None:
            raise DataError(f"{found}; add some, or take the class out of every part")
        notes.append(found)
    return tuple(notes)


def _missing(labels: torch.Tensor, info: DataInfo) -> str:
    """Name the classes that no label has, empty where all have one."""
    counts = torch.bincount(labels, minlength=info.num_classes)
    missing = (counts == 0).nonzero().flatten().tolist()
    named = ", ".join(repr(info.classes[label]) for label in missing[:_NAMED])
    return f"{named} and {len(missing) - _NAMED} more" if len(missing) > _NAMED else named


def _read(spec: DataSpec, info: DataInfo) -> Arrays:
    if spec.own is not None:
        arrays = spec.own.read((info.input.height, info.input.width))
        if arrays is None:
            raise DataError(f"the samples of {spec.place} are not at hand; give them as data=...")
        return arrays
    if spec.kind == "frames":
        return source_of(spec).read(spec.folder, spec.image_size)
    assert spec.num_steps is not None
    return read_frames(
        EVENT_SETS[spec.name],
        spec.folder,
        num_steps=spec.num_steps,
        binning=spec.binning,
        size=(info.input.height, info.input.width),
    )


def _check_labels(spec: DataSpec, arrays: Arrays, info: DataInfo) -> None:
    for part, labels in (
        ("training", arrays.train_labels),
        ("validation", arrays.validation_labels),
        ("test", arrays.test_labels),
    ):
        if labels is None or not len(labels):
            continue
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= info.num_classes:
            raise DataError(
                f"{spec.place}: the {part} labels go from {low} to {high}, but "
                f"{info.num_classes} classes are 0 to {info.num_classes - 1}; get the files again"
            )


def _tensor(array: NDArray[Any]) -> Tensor:
    """Return an array as a tensor, also one that cannot be written, as Ray hands them out."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        return torch.from_numpy(array)


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
