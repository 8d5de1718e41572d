"""DVS128 Gesture: 11 gestures of 29 people before an event camera of 128x128 (Amir 2017).

As tonic distributes it, cut into one gesture a file and rounded to milliseconds:
``DVSGesture/ibmGesture{Train,Test}/USER_LIGHT/LABEL.npy``, an array [n, 4] of x, y, polarity and
time. A polarity of -1 is read as 0, OFF. Tonic gets the files; numpy reads them. SpikingJelly cuts
some recordings otherwise, so its files are others and are not mixed with these.
"""

import shlex
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikenas.data import tonic_door
from spikenas.data.recordings import Events, Layout, Recording, Recordings, files_in
from spikenas.data.source import is_foreign, quoted
from spikenas.data.spikingjelly_events import read_npz
from spikenas.exceptions import DataError

_CLASSES = (
    *("hand_clapping", "right_hand_wave", "left_hand_wave"),
    *("right_arm_clockwise", "right_arm_counter_clockwise"),
    *("left_arm_clockwise", "left_arm_counter_clockwise"),
    *("arm_roll", "air_drums", "air_guitar", "other_gestures"),
)
_NUM_CLASSES = len(_CLASSES)
_PARTS = ("ibmGestureTrain", "ibmGestureTest")
_LAST = 1 << 50  # no time is later; in float64 it is exact
_US = 1000  # microseconds of a millisecond


class Dvs128:
    """The `EventSource` of ``dvs128``."""

    sensor = (128, 128)
    classes: tuple[str, ...] = _CLASSES
    homes: tuple[str, ...] = ("DVSGesture", "DVS128Gesture")
    has_test_files = True

    def layouts(self, folder: Path) -> list[Layout]:
        """Return tonic's layout, by user and light and then by gesture."""
        home = folder / "DVSGesture"
        is_there = any((home / part).is_dir() for part in _PARTS)
        return [Layout(home, "tonic's .npy files", is_there, partial(_listed, folder))]

    def name(self, stem: str, label: int) -> str:
        """Return user and light; behind them SpikingJelly counts, where there are several."""
        return stem.rpartition("_")[0] or stem

    def check_readable(self, recordings: Recordings) -> None:
        """Nothing else is needed."""

    def read(self, path: Path) -> Events:
        """Read one recording."""
        if path.suffix.lower() == ".npz":
            return read_npz(path)
        try:
            with path.open("rb") as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                f"{path} is truncated or damaged: {error}; delete it or get it again"
            ) from error
        events = _checked(path, array)
        return Events(events[:, 0], events[:, 1], polarity=events[:, 2], t=events[:, 3] * _US)


def _listed(folder: Path) -> Recordings:
    return Recordings(*(_part(folder, part) for part in _PARTS))


def _part(folder: Path, part: str) -> list[Recording]:
    home = folder / "DVSGesture" / part
    code = (
        "from tonic.datasets import DVSGesture as Get; "
        f"Get({quoted(folder)}); Get({quoted(folder)}, train=False)"
    )
    missing = (
        f"DVS128 Gesture is missing. Get it with: {tonic_door.INSTALL}; "
        f"python -c {shlex.quote(code)}, "
        "or name the folder that has DVSGesture with --data-root or SPIKENAS_DATA"
    )
    users = sorted(filter(_is_user, home.iterdir())) if home.is_dir() else []
    if not users:
        raise DataError(f"{home} has no folder of recordings. {missing}")
    found = [
        Recording(Path(file.path), _label(Path(file.path)), user.name)
        for user in users
        for file in files_in(user, ".npy", missing)
    ]
    absent = sorted(set(range(_NUM_CLASSES)) - {each.label for each in found})
    if absent:
        raise DataError(
            f"{home} has no recording of {', '.join(f'{label}.npy' for label in absent)}; "
            "each gesture is needed in both parts; get the files again"
        )
    return found


def _is_user(path: Path) -> bool:
    """Tell whether it is a folder with anything in it."""
    if is_foreign(path.name) or not path.is_dir():
        return False
    return not all(is_foreign(each.name) for each in path.iterdir())


def _checked(path: Path, array: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return whole numbers [n, 4], -1 of the polarity as 0; another layout is refused."""

    def refusal(found: str) -> DataError:
        return DataError(
            f"{path} has {found}; needed: an array [n, 4] of whole numbers with the columns x and "
            f"y (0 to {Dvs128.sensor[0] - 1}), polarity (0 and 1, or -1 and 1) and time in "
            "milliseconds; delete it or get it again"
        )

    if array.dtype.kind not in "iuf":
        raise refusal(f"values of {array.dtype}")
    if array.ndim != 2 or array.shape[1] != 4:
        raise refusal(f"the shape {[*array.shape]}")
    if not np.isfinite(array).all() or not (array == np.floor(array)).all():
        raise refusal("values that are no whole numbers")
    if len(array) and float(np.abs(array.astype(np.float64)).max()) > _LAST:
        raise refusal("values too large")
    events: NDArray[np.int64] = array.astype(np.int64)
    polarity = events[:, 2]
    if len(events) and polarity.min() == -1 and not np.any(polarity == 0):
        events[:, 2] = np.where(polarity == -1, 0, polarity)
    return events


def _label(path: Path) -> int:
    if not path.stem.isdecimal() or int(path.stem) >= _NUM_CLASSES:
        raise DataError(
            f"{path} is not named for a gesture, 0.npy to {_NUM_CLASSES - 1}.npy; "
            "rename or delete it"
        )
    return int(path.stem)
