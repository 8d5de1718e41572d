"""What a data set by name promises: its `DataSource`, on files that the test writes."""

import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from spikenas.data import Arrays, DataSource, Survey
from spikenas.exceptions import DataError


class DataSourceContract:
    """The promises of a `DataSource`; the subclass says which, and writes its files.

    Attributes:
        image_size: what to ask for; only a set without a common size needs one.
        needs_files: False where the package itself has the images.
    """

    image_size: ClassVar[int | None] = None
    needs_files: ClassVar[bool] = True

    def source(self) -> DataSource:
        """Return the source."""
        raise NotImplementedError

    def write(self, folder: Path) -> None:
        """Write a small data set into the data root ``folder``."""

    def test_the_survey_says_what_is_read(self, tmp_path: Path) -> None:
        """Numbers, channels, size, labels and types."""
        survey, arrays = self._found(tmp_path)
        shape = (survey.channels, survey.height, survey.width)

        for images, labels, number in _parts(arrays, survey):
            assert images.dtype == np.uint8, f"images are {images.dtype}; needed: uint8"
            assert labels.dtype == np.int64, f"labels are {labels.dtype}; needed: int64"
            assert len(images) == len(labels) == number, (
                f"{len(images)} images and {len(labels)} labels; the survey says {number}"
            )
            assert images.shape[1:] == shape or not number or self.image_size is not None, (
                f"images are {images.shape[1:]}; the survey says {shape}"
            )
            assert not number or 0 <= labels.min() <= labels.max() < survey.num_classes, (
                f"labels are {labels.min()} to {labels.max()} of {survey.num_classes} classes"
            )

    def test_the_survey_tells_enough_to_train(self, tmp_path: Path) -> None:
        """At least two classes, two samples, a test part or its share, and how to normalise."""
        survey, arrays = self._found(tmp_path)

        assert survey.num_classes >= 2, f"num_classes = {survey.num_classes}; needed: 2"
        assert survey.num_train >= 2, f"num_train = {survey.num_train}; needed: 2"
        assert survey.num_test or 0 < survey.test_fraction < 1, (
            f"num_test = 0, so test_fraction = {survey.test_fraction} must lie between 0 and 1"
        )
        assert len(survey.mean) == len(survey.std) == survey.channels, (
            f"mean = {survey.mean}, std = {survey.std} for {survey.channels} channels"
        )
        assert all(0 <= mean <= 1 for mean in survey.mean), f"mean = {survey.mean}; needed: 0..1"
        assert all(std > 0 for std in survey.std), f"std = {survey.std}; needed: above 0"
        assert len(survey.classes) in (0, survey.num_classes), (
            f"{len(survey.classes)} names for {survey.num_classes} classes"
        )
        found = set(arrays.train_labels.tolist())
        absent = sorted(set(range(survey.num_classes)) - found)
        assert not absent, f"the training part has no sample of classes {absent}"

    def test_reading_again_gives_the_same(self, tmp_path: Path) -> None:
        """In the same order too, since parts are cut by the place of a sample."""
        survey, first = self._found(tmp_path)
        second = self.source().read(tmp_path, self.image_size)

        for one, other in zip(_parts(first, survey), _parts(second, survey), strict=True):
            assert np.array_equal(one[0], other[0]), "a second reading gives other images"
            assert np.array_equal(one[1], other[1]), "a second reading gives other labels"

    def test_its_files_are_there_and_listed_once(self, tmp_path: Path) -> None:
        """By their bytes the data set is told from another."""
        self.write(tmp_path)
        files = self.source().files(tmp_path)

        assert files, "files() lists none"
        assert len(set(files)) == len(files), f"files() lists one twice: {files}"
        absent = [path for path in files if not path.is_file()]
        assert not absent, f"files() lists {absent}, which are not there"

    def test_nothing_is_written_where_the_files_lie(self, tmp_path: Path) -> None:
        """The folder may be shared, or not be writable."""
        self.write(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        self.source().read(tmp_path, self.image_size)

        changed = sorted({*tmp_path.rglob("*")}.symmetric_difference(before))
        assert not changed, f"read() writes or removes {changed}"

    @pytest.mark.parametrize("verb", ["survey", "read"])
    def test_absent_files_are_named(self, tmp_path: Path, verb: str) -> None:
        """By a DataError with the folder in it, never by a traceback."""
        if not self.needs_files:
            pytest.skip("the package itself has the images")

        with pytest.raises(DataError, match=re.escape(tmp_path.name)):
            getattr(self.source(), verb)(tmp_path / "none", self.image_size)

    def _found(self, folder: Path) -> tuple[Survey, Arrays]:
        self.write(folder)
        source = self.source()
        return source.survey(folder, self.image_size), source.read(folder, self.image_size)


def _parts(
    arrays: Arrays, survey: Survey
) -> list[tuple[NDArray[np.uint8], NDArray[np.int64], int]]:
    parts = [
        (arrays.train_images, arrays.train_labels, survey.num_train),
        (arrays.test_images, arrays.test_labels, survey.num_test),
    ]
    if arrays.validation_images is not None and arrays.validation_labels is not None:
        parts.append((arrays.validation_images, arrays.validation_labels, survey.num_validation))
    return parts
