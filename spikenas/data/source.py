"""`DataSource`: where a data set's images come from, before they are split and resized."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Kind = Literal["frames", "events"]
_FOREIGN = {"__macosx", "@eadir", "lost+found", "thumbs.db", "desktop.ini", "ehthumbs.db"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What the files promise, without reading the images.

    ``num_test`` 0 means that the data set has no test files, so ``test_fraction`` of its training
    files is held out; ``num_validation`` 0 likewise. ``classes`` are names by label, the numbers
    where empty; ``notes`` say what was left out. ``mean`` and ``std`` are per channel, of images in
    0..1; events have 0 and 1/255, so that they stay what they are: counts. ``num_steps`` are those
    for which there are frames of events where there are no events, else empty: any will do.
    """

    channels: int
    height: int
    width: int
    num_classes: int
    num_train: int
    num_test: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...] = ()
    num_validation: int = 0
    notes: tuple[str, ...] = ()
    num_steps: tuple[int, ...] = ()
    kind: Kind = "frames"
    test_fraction: float = 0.2

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {k: [*v] if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Survey":
        """Build from the JSON form; keys of later versions are left out."""
        known = {field.name for field in fields(cls)}
        found: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in record.items()
            if key in known
        }
        return cls(**found)


class Arrays(NamedTuple):
    """All images of a data set, uint8 [N, C, H, W] or [N, T, C, H, W], and labels, int64 [N]."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    validation_images: NDArray[np.uint8] | None = None
    validation_labels: NDArray[np.int64] | None = None


class DataSource(Protocol):
    """One data set by name. Each verb raises DataError: what is missing, where, how to get it.

    An installed package offers one through the entry-point group ``spikenas.data_sets``; its
    promises are the tests of `spikenas.testing.DataSourceContract`. It gives images of one frame.
    """

    def survey(self, folder: Path, image_size: int | None) -> Survey:
        """Check the files in the data root ``folder`` without reading the images."""
        ...

    def files(self, folder: Path) -> list[Path]:
        """List what the images are read from; when one changes, they are read again."""
        ...

    def read(self, folder: Path, image_size: int | None) -> Arrays:
        """Read every image; ``image_size`` matters only where the files have no common size.

        The images of all parts have one shape, and numbers and labels are those of the survey.
        """
        ...


def is_foreign(name: str) -> bool:
    """Whether an operating system or an editor put it there: hidden files, ``._x`` and such."""
    return name.startswith(".") or name.lower() in _FOREIGN


def download_hint(torchvision_class: str, folder: Path) -> str:
    """Return how to get a data set that torchvision can download into ``folder``."""
    code = (
        "from spikenas.data.torchvision_door import datasets; "
        f"datasets.{torchvision_class}({quoted(folder)}, download=True)"
    )
    return (
        f"Get it with: python -c {shlex.quote(code)}, "
        "or name the folder that has it with --data-root or SPIKENAS_DATA"
    )


def quoted(folder: Path) -> str:
    """Return a path as text of Python in double quotes, which a shell in single quotes leaves."""
    return json.dumps(str(folder), ensure_ascii=False)
