"""CIFAR10-DVS: 10,000 of CIFAR-10's images moved before an event camera of 128x128 (Li 2017).

One AEDAT 4 file a recording, ``CIFAR10DVS/CLASS/*.aedat4``, as tonic unpacks them. There are no
test files; a tenth is held out, as the published results do, though they take the last files of
each class and we draw them.
"""

from pathlib import Path

import numpy as np

from spikenas.data import tonic_door
from spikenas.data.recordings import Events, Recordings, listed, recording
from spikenas.data.source import Survey

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
        found = [
            recording(file, label)
            for label, name in enumerate(_CLASSES)
            for file in listed(home / name, ".aedat4", missing)
        ]
        return Recordings(found, [])

    def classes(self, folder: Path) -> tuple[str, ...]:
        """Return CIFAR-10's names."""
        return _CLASSES

    def read(self, path: Path) -> Events:
        """Read one recording."""
        events = tonic_door.read_aedat4(path)
        return Events(*(events[field].astype(np.int64) for field in ("x", "y", "p", "t")))
