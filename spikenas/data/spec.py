"""`DataSpec`: which images, how large, how split; `DataInfo`: what was found under that name."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from spikenas.architecture import InputSpec
from spikenas.data import image_folder
from spikenas.exceptions import DataError, UnknownNameError, did_you_mean

NAMES = ("cifar10", "cifar100", "digits", "fashion_mnist", "image_folder", "mnist")
_SPLIT_RULE = 1  # raise it when the same spec would give another split


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """Which images a network is trained, validated and tested on.

    Attributes:
        root: the folder that holds the data set's own folder; None means $SPIKENAS_DATA, else
            ``./data``. For ``image_folder`` it is the folder of the images itself.
        image_size: side in pixels to resize to; None keeps the data set's own.
        train_subset: train on so many images only, evenly from all classes.
        validation_fraction: how much of the training files is held out, 0 to 0.5.
        split_seed: draws which images are held out; the test split does not depend on it.
    """

    name: str
    root: str | None = None
    image_size: int | None = None
    train_subset: int | None = None
    validation_fraction: float = 0.1
    split_seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise UnknownNameError("data set", self.name, NAMES)
        _integer("image_size", self.image_size, 4, 1024)
        _integer("train_subset", self.train_subset, 1, 10**9)
        _integer("split_seed", self.split_seed, 0, 2**63 - 1)
        if not 0 <= self.validation_fraction <= 0.5:
            raise DataError(
                f"validation_fraction = {self.validation_fraction}; it must be from 0 to 0.5"
            )
        if self.name == "image_folder" and self.image_size is None:
            raise DataError(
                "image_folder needs image_size, the side in pixels that all its images are "
                "resized to, for example 64"
            )

    @property
    def folder(self) -> Path:
        """Where the files are looked for."""
        return Path(self.root or os.environ.get("SPIKENAS_DATA") or "data").expanduser()

    @property
    def fingerprint(self) -> str:
        """Everything that fixes the images and their split, as JSON; equal text, equal data.

        A name fixes its data set's files wherever they lie. An image folder has no such name,
        so the relative paths and sizes of its files stand for it.
        """
        record: dict[str, Any] = {**self.to_dict(), "split_rule": _SPLIT_RULE}
        del record["root"]
        if self.name == "image_folder":
            record["files"] = image_folder.listing_sha256(self.folder)
        return json.dumps(record, sort_keys=True, separators=(",", ":"))

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
    """What a `DataSpec` was found to be; ``mean`` and ``std`` are per channel in 0..1."""

    name: str
    input: InputSpec
    num_classes: int
    num_train: int
    num_validation: int
    num_test: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def _integer(name: str, value: object, low: int, high: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise DataError(f"{name} = {value!r}; it must be a whole number from {low} to {high}")
