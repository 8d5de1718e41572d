"""`DataSpec`: which images, how large, how split; `DataInfo`: what was found under that name."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from spikenas.architecture import MAX_STEPS, InputSpec
from spikenas.data.binning import Binning
from spikenas.data.event_sets import EVENT_SETS
from spikenas.data.image_sets import IMAGE_SETS
from spikenas.exceptions import DataError, UnknownNameError, did_you_mean

NAMES = (*IMAGE_SETS, *EVENT_SETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """Which images a network is trained, validated and tested on.

    Attributes:
        root: the folder that holds the data set's own folder; None means $SPIKENAS_DATA, else
            ``./data``. For ``image_folder`` it is the folder of the images itself.
        image_size: side in pixels to resize to; None keeps the data set's own. Event frames only
            become smaller, and no event is lost; see `spikenas.data.binning`.
        train_subset: train on so many images only, evenly from all classes.
        validation_fraction: how much of the training files is held out, 0 to 0.5.
        split_seed: draws which images are held out; the test split does not depend on it.
        num_steps: T, the frames that events are binned into; None until a network says how many,
            see `with_steps`. Image sets refuse it: a network shows an image at each of its steps.
        binning: how events become frames; image sets refuse any but the default.
    """

    name: str
    root: str | None = None
    image_size: int | None = None
    train_subset: int | None = None
    validation_fraction: float = 0.1
    split_seed: int = 0
    num_steps: int | None = None
    binning: Binning = "time"

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            if isinstance(self.name, str) and Path(self.name).is_dir():
                raise DataError(
                    f"{self.name} is a folder; of images, one folder a class, it is the data set "
                    f"image_folder: --data image_folder --data-root {shlex.quote(self.name)} "
                    "--image-size 32 (in Python: data='image_folder', data_root=..., image_size=32)"
                )
            raise UnknownNameError("data set", self.name, NAMES)
        _integer("image_size", self.image_size, 4, 1024)
        _integer("train_subset", self.train_subset, 1, 10**9)
        _integer("split_seed", self.split_seed, 0, 2**63 - 1)
        _integer("num_steps", self.num_steps, 1, MAX_STEPS)
        if self.binning not in get_args(Binning):
            raise UnknownNameError("binning", self.binning, get_args(Binning))
        if not 0 <= self.validation_fraction <= 0.5:
            raise DataError(
                f"validation_fraction = {self.validation_fraction}; it must be from 0 to 0.5"
            )
        if self.name == "image_folder" and self.image_size is None:
            raise DataError(
                "image_folder needs image_size (--image-size), the side in pixels that all its "
                "images are resized to, for example 64"
            )
        if self.kind == "frames":
            for setting, is_given in (
                (f"binning = {self.binning!r} (--binning)", self.binning != "time"),
                (f"num_steps = {self.num_steps}", self.num_steps is not None),
            ):
                if is_given:
                    raise DataError(
                        f"{setting} is for event data sets: {', '.join(EVENT_SETS)}; {self.name} "
                        "has images, so leave it out"
                    )

    @property
    def kind(self) -> Literal["frames", "events"]:
        """What the data set has: images, each one frame, or recordings of events."""
        return "events" if self.name in EVENT_SETS else "frames"

    @property
    def folder(self) -> Path:
        """Where the files are looked for."""
        return Path(self.root or os.environ.get("SPIKENAS_DATA") or "data").expanduser()

    def with_steps(self, num_steps: int) -> "DataSpec":
        """Return what a network of T steps is to be given: events in T frames, or the images.

        Raises DataError where the events are to be binned into another number of frames.
        """
        if self.kind == "frames":
            return self
        if self.num_steps not in (None, num_steps):
            raise DataError(
                f"{self.name} is binned into num_steps = {self.num_steps} frames, but the network "
                f"has num_steps = {num_steps}; leave it out of the data's settings, or choose an "
                "architecture with as many"
            )
        return replace(self, num_steps=num_steps)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "DataSpec":
        """Build from the JSON form; an unknown key is named."""
        known = [field.name for field in fields(cls)]
        for key in record:
            if key not in known:
                raise DataError(
                    f"data.{key} is no setting of a data set{did_you_mean(key, known)}; "
                    f"known: {', '.join(known)}"
                )
        return cls(**record)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataInfo:
    """What a `DataSpec` was found to be.

    Attributes:
        mean: per channel, of images in 0..1.
        std: likewise.
        classes: their names, by label.
        notes: what was left out of the files, and, of a set that was read, which classes a
            part lacks that was cut from it; to be told before a search.
        num_steps: where frames of events are read as they are, the T for which there are some;
            empty where any T will do.
        own_parts: which of ``validation`` and ``test`` come with the data set, not cut from it.
    """

    name: str
    input: InputSpec
    num_classes: int
    num_train: int
    num_validation: int
    num_test: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    num_steps: tuple[int, ...] = ()
    own_parts: tuple[str, ...] = ()


def _integer(name: str, value: object, low: int, high: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise DataError(f"{name} = {value!r}; it must be a whole number from {low} to {high}")
