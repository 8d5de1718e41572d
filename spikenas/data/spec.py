"""`DataSpec`: which images, how large, how split; `DataInfo`: what was found under that name."""

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from spikenas.architecture import MAX_STEPS, InputSpec
from spikenas.data.binning import Binning
from spikenas.data.event_sets import EVENT_SETS
from spikenas.data.image_sets import IMAGE_SETS
from spikenas.data.own_samples import OwnSamples
from spikenas.data.package_sets import GROUP, load_source
from spikenas.data.source import Arrays, DataSource
from spikenas.exceptions import DataError, UnknownNameError, did_you_mean, in_short
from spikenas.installed import module_of, offered

OUR_NAMES = (*IMAGE_SETS, *EVENT_SETS)
_OWN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def names() -> list[str]:
    """Return the names of the data sets, ours and those of installed packages, sorted."""
    return sorted({*OUR_NAMES, *offered(GROUP)})


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
        own: data of the user's own, which have no files; see `OwnData`.
        plugin: the module that reads a data set of an installed package; found by its name.
    """

    name: str
    root: str | None = None
    image_size: int | None = None
    train_subset: int | None = None
    validation_fraction: float = 0.1
    split_seed: int = 0
    num_steps: int | None = None
    binning: Binning = "time"
    own: OwnSamples | None = None
    plugin: str | None = None

    def __post_init__(self) -> None:
        self._find_name()
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
        if self.own is not None and self.binning != "time":
            raise DataError(
                f"binning = {self.binning!r} is for recordings of events; data {self.name!r} has "
                "frames already, so leave it out"
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

    def _find_name(self) -> None:
        """See that the name is one; a name on record may be of a package that is not here."""
        if self.own is not None:
            self._check_own_name()
            return
        if self.plugin is not None or self.name in OUR_NAMES:
            return
        if isinstance(self.name, str) and self.name in offered(GROUP):
            object.__setattr__(self, "plugin", module_of(offered(GROUP)[self.name]))
            return
        if isinstance(self.name, str) and Path(self.name).is_dir():
            raise DataError(
                f"{self.name} is a folder; of images, one folder a class, it is the data set "
                f"image_folder: --data image_folder --data-root {shlex.quote(self.name)} "
                "--image-size 32 (in Python: data='image_folder', data_root=..., image_size=32)"
            )
        raise UnknownNameError("data set", self.name, names())

    def _check_own_name(self) -> None:
        """See that files can be named by it, also where it comes from the record of a run."""
        if not isinstance(self.name, str) or not _OWN_NAME.fullmatch(self.name):
            raise DataError(
                f"name = {in_short(self.name)}; needed: up to 64 letters, digits and any of _.-"
            )
        if self.name in OUR_NAMES:
            raise DataError(
                f"name = {self.name!r} is a data set that spikenas reads itself; give another, "
                f"for example 'my-{self.name}'"
            )

    @property
    def kind(self) -> Literal["frames", "events"]:
        """What the data set has: images, each one frame, or recordings of events."""
        if self.own is not None:
            return self.own.survey.kind
        return "events" if self.name in EVENT_SETS else "frames"

    @property
    def has_test(self) -> bool:
        """Whether there is a test part; only data of one's own may lack it."""
        return self.own is None or self.own.survey.num_test > 0

    @property
    def place(self) -> str:
        """The data set as messages name it, with the folder of its files if it has any."""
        return f"data {self.name!r}" if self.own is not None else f"{self.name} in {self.folder}"

    @property
    def folder(self) -> Path:
        """Where the files are looked for."""
        return Path(self.root or os.environ.get("SPIKENAS_DATA") or "data").expanduser()

    def with_samples(self, arrays: Arrays | None) -> "DataSpec":
        """Return the same with the samples of the user's own at hand, or without them."""
        if self.own is None:
            return self
        return replace(self, own=replace(self.own, arrays=arrays))

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
        """Return the JSON form, without samples of the user's own."""
        record = {field.name: getattr(self, field.name) for field in fields(self)}
        record["own"] = self.own and self.own.to_dict()
        return {k: v for k, v in record.items() if v is not None or k not in ("own", "plugin")}

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
        own = record.get("own")
        return cls(**{**record, "own": own and OwnSamples.from_dict(own)})


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


def source_of(spec: DataSpec) -> DataSource:
    """Return what reads the images of a data set that has files of them."""
    return load_source(spec.name, spec.plugin) if spec.plugin else IMAGE_SETS[spec.name]


def _integer(name: str, value: object, low: int, high: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise DataError(f"{name} = {value!r}; it must be a whole number from {low} to {high}")
