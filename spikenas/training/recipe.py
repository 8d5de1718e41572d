"""`Recipe`: how a network is trained, as plain data."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from spikenas.exceptions import UsageError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """AdamW with a cosine schedule, the loss, and the augmentation of the images.

    Attributes:
        epochs: of the schedule, unless overridden by the caller.
        learning_rate: at the end of the warm-up; it decays to ``min_learning_rate``.
        warmup_epochs: of a linear warm-up from ``warmup_learning_rate``.
        weight_decay: of weight matrices and kernels; never of biases and norms.
        gradient_clip: maximum norm of all gradients together; 0 is no limit.
        rand_augment_magnitude: 0 to 10.
        rand_augment_ops: operations per image; 0 is off.
        random_crop_padding: pixels around the image before a crop of its size.
        mixup: alpha of its Beta distribution; 0 is off. The same for ``cutmix``.
        mixup_off_epoch: first epoch without either; 0 is never.
        random_erasing: probability per image.
        event_drop: whether events are dropped at random; for event data only.
        snn_augment_wide: whether event frames are shifted, rotated or cut; for event data only.
        stochastic_depth: probability of dropping the branches of the last block for a sample, which
            decreases linearly to 0 in the first block. The released codes define it, but never
            apply it, so published recipes have 0.
        surrogate_module_learning: weight of the soft loss of `spikenas.training.surrogate_modules`,
            for networks with mixer ``stm`` only; 0 trains without side heads.
    """

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    min_learning_rate: float = 1e-5
    warmup_epochs: float = 0.0
    warmup_learning_rate: float = 1e-5
    weight_decay: float = 0.06
    label_smoothing: float = 0.1
    gradient_clip: float = 0.0
    rand_augment_magnitude: int = 9
    rand_augment_ops: int = 0
    horizontal_flip: bool = False
    random_crop_padding: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0
    mixup_off_epoch: int = 0
    random_erasing: float = 0.0
    event_drop: bool = False
    snn_augment_wide: bool = False
    stochastic_depth: float = 0.0
    surrogate_module_learning: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise UsageError(f"recipe.name = {self.name!r}; it must be a text")
        for switch in _SWITCHES:
            if not isinstance(getattr(self, switch), bool):
                raise UsageError(
                    f"recipe {self.name!r}: {switch} = {getattr(self, switch)!r}; it must be "
                    "true or false"
                )
        for setting, (low, high, kind) in _RANGES.items():
            value = getattr(self, setting)
            is_kind = isinstance(value, kind) and not isinstance(value, bool)
            if not is_kind or not low <= value <= high:
                whole = "a whole number" if kind is int else "a number"
                raise UsageError(
                    f"recipe {self.name!r}: {setting} = {value!r}; "
                    f"it must be {whole} from {low} to {high}"
                )

    @property
    def fingerprint(self) -> str:
        """The JSON of all settings that change a result.

        Without the name, and without newer settings that are off, so that old results are reused.
        """
        record = {key: value for key, value in self.to_dict().items() if key != "name"}
        for setting in _LATER:
            if not record[setting]:
                del record[setting]
        return json.dumps(record, sort_keys=True, separators=(",", ":"))

    def check_kind(self, kind: Literal["frames", "events"]) -> None:
        """Raise UsageError if the recipe has an augmentation for the other kind of data."""
        foreign = _OF_IMAGES if kind == "events" else _OF_EVENTS
        for setting in foreign:
            if getattr(self, setting):
                cure = (
                    f"{' and '.join(_OF_EVENTS)} are for events"
                    if kind == "events"
                    else "rand_augment_ops is for images"
                )
                raise UsageError(
                    f"recipe {self.name!r}: {setting} = {getattr(self, setting)!r} is not for "
                    f"{'events' if kind == 'events' else 'images'}; switch it off or name another "
                    f"recipe ({cure})"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Recipe":
        """Build from the JSON form; an unknown setting is named."""
        known = [field.name for field in fields(cls)]
        for key in record:
            if key not in known:
                raise UsageError(
                    f"recipe.{key} is not a setting of a recipe{did_you_mean(key, known)}; "
                    f"known: {', '.join(known)}"
                )
        missing = {"name", "epochs", "batch_size", "learning_rate"} - set(record)
        if missing:
            raise UsageError(f"the recipe lacks {', '.join(sorted(missing))}")
        return cls(**record)


_SWITCHES = ("horizontal_flip", "event_drop", "snn_augment_wide")
_OF_IMAGES = ("rand_augment_ops",)
_OF_EVENTS = ("event_drop", "snn_augment_wide")
_LATER = (*_OF_EVENTS, "stochastic_depth", "surrogate_module_learning")
_RANGES: dict[str, tuple[float, float, Any]] = {
    "epochs": (1, 100_000, int),
    "batch_size": (1, 65_536, int),
    "learning_rate": (0, 10, int | float),
    "min_learning_rate": (0, 10, int | float),
    "warmup_epochs": (0, 100_000, int | float),
    "warmup_learning_rate": (0, 10, int | float),
    "weight_decay": (0, 10, int | float),
    "label_smoothing": (0, 0.9, int | float),
    "gradient_clip": (0, 1e6, int | float),
    "rand_augment_magnitude": (0, 10, int),
    "rand_augment_ops": (0, 10, int),
    "random_crop_padding": (0, 256, int),
    "mixup": (0, 100, int | float),
    "cutmix": (0, 100, int | float),
    "mixup_off_epoch": (0, 100_000, int),
    "random_erasing": (0, 1, int | float),
    "stochastic_depth": (0, 0.9, int | float),
    "surrogate_module_learning": (0, 0.99, int | float),  # only the hard loss uses the labels
}
