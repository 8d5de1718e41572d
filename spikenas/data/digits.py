"""Handwritten digits: the 1,797 scans of 8x8 pixels that scikit-learn carries; no download.

Alpaydin and Kaynak 1998, the test part of "Optical Recognition of Handwritten Digits". It has no
test files of its own here, so `load` holds a fixed, stratified fifth out.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from spikenas.data.source import Arrays, Survey


class Digits:
    """The `DataSource` of ``digits``."""

    def survey(self, folder: Path, image_size: int | None) -> Survey:
        """Return the known facts; there is no file to miss."""
        return Survey(
            channels=1,
            height=8,
            width=8,
            num_classes=10,
            num_train=1797,
            num_test=0,
            mean=(0.3053,),
            std=(0.3760,),
        )

    def files(self, folder: Path) -> list[Path]:
        """List the file within scikit-learn, which is found without importing that."""
        package = find_spec("sklearn")
        assert package is not None  # a dependency
        assert package.origin is not None
        return [Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"]

    def read(self, folder: Path, image_size: int | None) -> Arrays:
        """Return the scans, whose 17 grey values 0..16 are spread over 0..255."""
        from sklearn.datasets import load_digits  # noqa: PLC0415  (2 s, for this data set only)

        images, labels = load_digits(return_X_y=True)
        pixels = np.round(images * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
        labels = labels.astype(np.int64)
        return Arrays(pixels, labels, pixels[:0], labels[:0])
