"""CIFAR10-DVS: 10,000 of CIFAR-10's images moved before an event camera of 128x128 (Li 2017).

One file a recording, in ``CIFAR10DVS/CLASS``: ``.aedat4`` as tonic unpacks them, ``.aedat`` as they
were published, or ``.npz`` in ``events_np/CLASS`` as SpikingJelly writes them. There are no
test files; a tenth is held out, as the published results do, though they take the last files of
each class and we draw them.
"""

from pathlib import Path

import numpy as np

from spikenas.data import tonic_door
from spikenas.data.aedat2 import read_aedat2
from spikenas.data.recordings import Events, Recordings, listed, recording
from spikenas.data.source import Survey
from spikenas.data.spikingjelly_events import events_np, read_npz, recordings_in

_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


class Cifar10Dvs:
    """The `EventSource` of ``cifar10dvs``."""

    sensor = (128, 128)

    def survey(self, folder: Path, image_size: int | None) -> Survey:
        """Check that every class has recordings, and that there is a reader for them."""
        recordings = self.recordings(folder).train
        if any(each.path.suffix.lower() == ".aedat4" for each in recordings):
            tonic_door.refuse_absence("cifar10dvs")
        return Survey(
            kind="events",
            channels=2,
            height=self.sensor[0],
            width=self.sensor[1],
            num_classes=len(_CLASSES),
            num_train=len(recordings),
            num_test=0,
            test_fraction=0.1,
            mean=(0.0, 0.0),
            std=(1 / 255, 1 / 255),
            classes=self.classes(folder),
        )

    def recordings(self, folder: Path) -> Recordings:
        """List the files by class, then by name."""
        home = folder / "CIFAR10DVS"
        missing = (
            f"CIFAR10-DVS is missing. Get it with: {tonic_door.INSTALL}; "
            f"python -c \"from tonic.datasets import CIFAR10DVS; CIFAR10DVS('{folder}')\", "
            "or name the folder that has CIFAR10DVS with --data-root or SPIKENAS_DATA"
        )
        theirs = events_np(folder, ("CIFAR10DVS",))
        if theirs is not None and not (home / _CLASSES[0]).is_dir():
            return Recordings(list(recordings_in(theirs, _CLASSES)), [])
        first = sorted((home / _CLASSES[0]).glob("*.aedat*"))  # all classes have one kind
        suffix = first[0].suffix.lower() if first else ".aedat4"
        found = [
            recording(file, label)
            for label, name in enumerate(_CLASSES)
            for file in listed(home / name, suffix, missing)
        ]
        return Recordings(found, [])

    def classes(self, folder: Path) -> tuple[str, ...]:
        """Return CIFAR-10's names."""
        return _CLASSES

    def read(self, path: Path) -> Events:
        """Read one recording."""
        suffix = path.suffix.lower()
        if suffix == ".npz":
            return read_npz(path, self.sensor)
        if suffix == ".aedat":
            return read_aedat2(path)
        events = tonic_door.read_aedat4(path)
        return Events(*(events[field].astype(np.int64) for field in ("x", "y", "p", "t")))
