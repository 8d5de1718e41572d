"""DVS128 Gesture: 11 gestures of 29 people before an event camera of 128x128 (Amir 2017).

As tonic distributes it, cut into one gesture a file and rounded to milliseconds:
``DVSGesture/ibmGesture{Train,Test}/USER_LIGHT/LABEL.npy``, an array [n, 4] of x, y, polarity and
time. Tonic gets the files; numpy reads them.
"""

from pathlib import Path

import numpy as np

from spikenas.data import tonic_door
from spikenas.data.recordings import Events, Recording, Recordings, listed, recording
from spikenas.data.source import Survey
from spikenas.exceptions import DataError

_NUM_CLASSES = 11
_US = 1000  # microseconds of a millisecond


class Dvs128:
    """The `EventSource` of ``dvs128``."""

    sensor = (128, 128)

    def survey(self, folder: Path, image_size: int | None) -> Survey:
        """Check that both parts have recordings, each named for its gesture."""
        parts = self.recordings(folder)
        return Survey(
            kind="events",
            channels=2,
            height=self.sensor[0],
            width=self.sensor[1],
            num_classes=_NUM_CLASSES,
            num_train=len(parts.train),
            num_test=len(parts.test),
            mean=(0.0, 0.0),
            std=(1 / 255, 1 / 255),
        )

    def recordings(self, folder: Path) -> Recordings:
        """List the files by user and light, then by gesture."""
        return Recordings(
            self._part(folder, "ibmGestureTrain"), self._part(folder, "ibmGestureTest")
        )

    def read(self, path: Path) -> Events:
        """Read one recording."""
        try:
            with path.open("rb") as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
            events = array.astype(np.int64).reshape(-1, 4)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                f"{path} is truncated or damaged: {error}; delete it or get it again"
            ) from error
        return Events(events[:, 0], events[:, 1], polarity=events[:, 2], t=events[:, 3] * _US)

    def _part(self, folder: Path, part: str) -> list[Recording]:
        home = folder / "DVSGesture" / part
        missing = (
            f"DVS128 Gesture is missing. Get it with: {tonic_door.INSTALL}; "
            f"python -c \"from tonic.datasets import DVSGesture as Get; Get('{folder}'); "
            f"Get('{folder}', train=False)\", "
            "or name the folder that has DVSGesture with --data-root or SPIKENAS_DATA"
        )
        users = sorted(path for path in home.iterdir() if path.is_dir()) if home.is_dir() else []
        if not users:
            raise DataError(f"{home} has no folder of recordings. {missing}")
        return [
            recording(file, _label(Path(file.path)))
            for user in users
            for file in listed(user, ".npy", missing)
        ]


def _label(path: Path) -> int:
    if not path.stem.isdecimal() or int(path.stem) >= _NUM_CLASSES:
        raise DataError(
            f"{path} is not named for a gesture, 0.npy to {_NUM_CLASSES - 1}.npy; "
            "rename or delete it"
        )
    return int(path.stem)
