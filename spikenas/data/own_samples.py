"""`OwnSamples`: data of the user's own as a search knows them, once they are checked.

What they are and their hash are kept with the run; the samples themselves are not. They are handed
to workers, and to `resume`, beside the text of a job.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikenas.data.binning import shrunk
from spikenas.data.source import Arrays, Survey

_CHUNK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSamples:
    """What the samples are, and the samples where they are at hand.

    Attributes:
        sha256: of shapes, types, bytes, labels and classes; equal data have equal ones.
        arrays: None in what was read from a store or a message.
    """

    sha256: str
    survey: Survey
    arrays: Arrays | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, survey: Survey, arrays: Arrays) -> "OwnSamples":
        """Hash the samples."""
        return cls(sha256=_sha256(survey, arrays), survey=survey, arrays=arrays)

    def read(self, size: tuple[int, int]) -> Arrays | None:
        """Return the samples, event counts added up to (H, W) where that is smaller; if there."""
        arrays = self.arrays
        is_smaller = size != (self.survey.height, self.survey.width)
        if arrays is None or self.survey.kind == "frames" or not is_smaller:
            return arrays
        validation = arrays.validation_images
        return arrays._replace(
            train_images=_shrunk(arrays.train_images, size),
            test_images=_shrunk(arrays.test_images, size),
            validation_images=None if validation is None else _shrunk(validation, size),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, without the samples."""
        return {"sha256": self.sha256, "survey": self.survey.to_dict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "OwnSamples":
        """Build from the JSON form."""
        return cls(sha256=record["sha256"], survey=Survey.from_dict(record["survey"]))


def _shrunk(frames: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    smaller = np.empty((*frames.shape[:-2], *size), np.uint8)
    for start in range(0, len(frames), _CHUNK):
        part = slice(start, start + _CHUNK)
        smaller[part] = shrunk(frames[part].astype(np.int64), size)
    return smaller


def _sha256(survey: Survey, arrays: Arrays) -> str:
    whole = hashlib.sha256(json.dumps([survey.kind, *survey.classes]).encode())
    for name, array in arrays._asdict().items():
        if array is not None:
            whole.update(json.dumps([name, array.dtype.str, array.shape]).encode())
            whole.update(np.ascontiguousarray(array).data)
    return whole.hexdigest()
