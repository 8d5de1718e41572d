"""`Preprocessing`: what a search did to an image before its network saw it.

It is plain data, kept in an export, so that a network can be fed the same way without the data.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from spikenas.exceptions import UsageError

_CHANNEL_ORDERS = ("grey", "RGB", "OFF, ON", "as given")
_VALUE_RANGES = ("0..1", "counts")
_RESIZES = ("none", "bilinear_antialias", "centre_crop_bicubic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How pixels, or events, become a network's input.

    Attributes:
        channel_order: ``grey``, ``RGB``, the polarities ``OFF, ON``, or of the user's own data
            ``as given``.
        resize: ``none``, and then no other size is taken; ``bilinear_antialias``, torch's
            interpolate on uint8, which may change the aspect; ``centre_crop_bicubic``, Pillow's
            ImageOps.fit. Events are never resized.
        value_range: what the network's input was before it was normalised: ``0..1``, or ``counts``
            of events.
        mean: per channel, of pixels in 0..1, taken off; input is then divided by ``std``. Events
            are counts and stay so: 0 and 1.
        binning: of events, ``time`` or ``count``.
        num_steps: frames that a recording is binned into.
        sensor_size: of events, height and width of the camera, whose pixels are added up where
            the frames are smaller.
        ground: the colour that transparent images are put on; None refuses them.
        grey_as_rgb: whether a grey image becomes RGB of three equal channels; else it is refused.
    """

    kind: Literal["frames", "events"]
    channels: int
    channel_order: str
    height: int
    width: int
    resize: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    binning: str | None = None
    num_steps: int | None = None
    value_range: str = "0..1"
    sensor_size: tuple[int, int] | None = None
    ground: Literal["white"] | None = None
    grey_as_rgb: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("frames", "events"):
            raise UsageError(f"preprocessing.kind = {self.kind!r}; known: frames, events")
        if self.channel_order not in _CHANNEL_ORDERS:
            raise UsageError(
                f"preprocessing.channel_order = {self.channel_order!r}; "
                f"known: {'; '.join(_CHANNEL_ORDERS)}"
            )
        if self.resize not in _RESIZES:
            raise UsageError(
                f"preprocessing.resize = {self.resize!r}; known: {', '.join(_RESIZES)}"
            )
        if self.value_range not in _VALUE_RANGES:
            raise UsageError(
                f"preprocessing.value_range = {self.value_range!r}; "
                f"known: {', '.join(_VALUE_RANGES)}"
            )
        if self.ground not in (None, "white"):
            raise UsageError(f"preprocessing.ground = {self.ground!r}; known: white")
        if not len(self.mean) == len(self.std) == self.channels:
            raise UsageError(
                f"preprocessing has {len(self.mean)} means and {len(self.std)} deviations; "
                f"needed: one for each of {self.channels} channels"
            )
        if not all(each > 0 for each in self.std):
            raise UsageError(f"preprocessing.std = {self.std}; each must be above 0")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        sensor = None if self.sensor_size is None else [*self.sensor_size]
        return {
            **asdict(self),
            "mean": [*self.mean],
            "std": [*self.std],
            "sensor_size": sensor,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Preprocessing":
        """Build from the JSON form; an unknown or a missing key is named."""
        wrong = sorted(set(record) - {field.name for field in fields(cls)})
        if wrong:
            raise UsageError(f"preprocessing.{wrong[0]} is not known to this spikenas")
        try:
            mean, std = (tuple(map(float, record[name])) for name in ("mean", "std"))
            sensor = record.get("sensor_size")
            height_width = None if sensor is None else (int(sensor[0]), int(sensor[1]))
            events = record["kind"] == "events"
            value_range = record.get("value_range", "counts" if events else "0..1")
            return cls(
                **{
                    **record,
                    "mean": mean,
                    "std": std,
                    "sensor_size": height_width,
                    "value_range": value_range,
                }
            )
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise UsageError(f"preprocessing: incomplete or of a wrong type: {error}") from None
