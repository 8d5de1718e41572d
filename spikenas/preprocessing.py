"""`Preprocessing`: how a search prepared the images for its networks.

It is plain data and part of an export, so that new images can be prepared in the same way.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from spikenas.exceptions import UsageError

_KNOWN = {
    "kind": ("frames", "events"),
    "channel_order": ("grey", "RGB", "OFF, ON", "as given"),
    "resize": ("none", "bilinear_antialias", "centre_crop_bicubic"),
    "value_range": ("0..1", "counts"),
    "ground": (None, "white"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How pixels, or events, become the input of a network.

    Attributes:
        channel_order: ``grey``, ``RGB``, the polarities ``OFF, ON``, or ``as given`` for a user's
            own data.
        resize: ``none``, which refuses other sizes; ``bilinear_antialias``, torch's interpolate on
            uint8, which may change the aspect ratio; ``centre_crop_bicubic``, Pillow's
            ImageOps.fit. Events are never resized.
        value_range: of the input before normalisation: ``0..1``, or ``counts`` of events.
        mean: per channel, of pixels in 0..1, subtracted before dividing by ``std``; 0 and 1 for
            events.
        binning: of events, ``time`` or ``count``.
        num_steps: frames that a recording is binned into.
        sensor_size: of events, height and width of the camera; its pixels are summed if the frames
            are smaller.
        ground: the background colour for transparent images; None refuses them.
        grey_as_rgb: whether a grey image is converted to RGB; else it is refused.
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
        for name, known in _KNOWN.items():
            value = getattr(self, name)
            if value not in known:
                raise UsageError(
                    f"preprocessing.{name} = {value!r}; known: {'; '.join(filter(None, known))}"
                )
        if not len(self.mean) == len(self.std) == self.channels:
            raise UsageError(
                f"preprocessing has {len(self.mean)} means and {len(self.std)} deviations; "
                f"needed: one for each of {self.channels} channels"
            )
        if not all(each > 0 for each in self.std):
            raise UsageError(f"preprocessing.std = {self.std}; each must be above 0")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            name: [*value] if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Preprocessing":
        """Build from the JSON form; an unknown or a missing key is named."""
        wrong = sorted(set(record) - {field.name for field in fields(cls)})
        if wrong:
            raise UsageError(f"preprocessing.{wrong[0]} is unknown to this version of spikenas")
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
