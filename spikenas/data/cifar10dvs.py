"""CIFAR10-DVS: 10,000 of CIFAR-10's images moved before an event camera of 128x128 (Li 2017).

One file a recording, in ``CIFAR10DVS/CLASS``: ``.aedat`` as they were published, ``.aedat4`` as
tonic unpacks them, or ``.mat`` as many papers' code converts them. There are no test files; a tenth
is held out, as the published results do, though they take the last files of each class and we
draw them.
"""

import shlex
from functools import partial
from pathlib import Path

import numpy as np

from spikenas.data import tonic_door
from spikenas.data.aedat2 import read_aedat2
from spikenas.data.dat2mat import read_mat
from spikenas.data.recordings import Events, Layout, Recording, Recordings, files_in
from spikenas.data.source import is_foreign, quoted
from spikenas.data.spikingjelly_events import read_npz

_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_FILES = {
    ".aedat": "as published",
    ".aedat4": "as tonic has them",
    ".mat": "as dat2mat returns them",
}


class Cifar10Dvs:
    """The `EventSource` of ``cifar10dvs``."""

    sensor = (128, 128)
    classes: tuple[str, ...] = _CLASSES
    homes: tuple[str, ...] = ("CIFAR10DVS",)
    has_test_files = False

    def layouts(self, folder: Path) -> list[Layout]:
        """Return one layout for each kind of file, by class and then by name."""
        home = folder / "CIFAR10DVS"
        there = {
            path.suffix.lower()
            for name in _CLASSES
            for path in (home / name).glob("*")
            if not is_foreign(path.name)
        }
        return [
            Layout(
                home, f"{suffix} files {kind}", suffix in there, partial(_listed, folder, suffix)
            )
            for suffix, kind in _FILES.items()
        ]

    def name(self, stem: str, label: int) -> str:
        """Return the number behind the name of the class, which all layouts have."""
        return stem.removeprefix(f"cifar10_{_CLASSES[label]}_")

    def check_readable(self, recordings: Recordings) -> None:
        """Refuse AEDAT 4 without tonic."""
        if any(each.path.suffix.lower() == ".aedat4" for each in recordings.train):
            tonic_door.refuse_absence("cifar10dvs")

    def read(self, path: Path) -> Events:
        """Read one recording."""
        suffix = path.suffix.lower()
        if suffix == ".npz":
            return read_npz(path)
        if suffix == ".aedat":
            return read_aedat2(path)
        if suffix == ".mat":
            return read_mat(path)
        events = tonic_door.read_aedat4(path)
        return Events(*(events[field].astype(np.int64) for field in ("x", "y", "p", "t")))


def _listed(folder: Path, suffix: str) -> Recordings:
    code = f"from tonic.datasets import CIFAR10DVS; CIFAR10DVS({quoted(folder)})"
    missing = (
        f"CIFAR10-DVS is missing. Get it with: {tonic_door.INSTALL}; "
        f"python -c {shlex.quote(code)}, "
        "or name the folder that has CIFAR10DVS with --data-root or SPIKENAS_DATA"
    )
    name = Cifar10Dvs().name
    found = [
        Recording(Path(file.path), label, name(Path(file.name).stem, label))
        for label, class_name in enumerate(_CLASSES)
        for file in files_in(folder / "CIFAR10DVS" / class_name, suffix, missing)
    ]
    return Recordings(found, [])
