"""Data sets of installed packages, from the entry-point group ``spikenas.data_sets``.

A module is imported only when its data set is asked for by name, and only if it is the one on
record. Where the text of a run asks, and not the user, `spikenas.plugins` wants consent first.
"""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NoReturn

from spikenas.data.source import Arrays, DataSource, Survey
from spikenas.exceptions import DataError, in_short
from spikenas.installed import blamed, load, module_of, offered, told

GROUP = "spikenas.data_sets"
_VERBS = ("survey", "files", "read")


def load_source(name: str, module: str) -> DataSource:
    """Import the data set ``name``, which ``module`` has, and check what it gives from then on.

    Raises DataError where no installed package offers it, or what it offers is broken.
    """
    entry = offered(GROUP).get(name)
    if entry is None:
        raise DataError(
            f"data set {name!r} is of a package that is not installed here: none has an entry "
            f"point of that name in the group {GROUP}; install it, on every worker too"
        )
    if module_of(entry) != module:
        raise DataError(
            f"data set {name!r} was read by the module {module}, but {told(entry)} names another; "
            "install the package of then, or begin a new run"
        )
    source: Any = load(entry, DataError)
    missing = [verb for verb in _VERBS if not callable(getattr(source, verb, None))]
    if missing:
        raise DataError(
            f"{told(entry)} gives a {type(source).__name__} without {', '.join(missing)}; "
            "needed: a DataSource, or a class of one"
        )
    return _Checked(entry, source)


class _Checked:
    """A `DataSource` of others: what it raises or wrongly returns is told as its own fault."""

    def __init__(self, entry: EntryPoint, source: DataSource) -> None:
        self._entry, self._source = entry, source

    def survey(self, folder: Path, image_size: int | None) -> Survey:
        with blamed(self._entry, "fails in survey", DataError):
            survey = self._source.survey(folder, image_size)
        if not isinstance(survey, Survey) or survey.kind != "frames":
            self._refuse(f"survey gives {in_short(survey)}; needed: a Survey of kind 'frames'")
        if not (survey.num_test or 0 < survey.test_fraction < 1):
            self._refuse("survey has neither num_test nor a test_fraction")
        return survey

    def files(self, folder: Path) -> list[Path]:
        with blamed(self._entry, "fails in files", DataError):
            files = [Path(path) for path in self._source.files(folder)]
        if not files:
            self._refuse("files lists none; needed: all that is read, whose bytes identify data")
        return files

    def read(self, folder: Path, image_size: int | None) -> Arrays:
        survey = self.survey(folder, image_size)
        with blamed(self._entry, "fails in read", DataError):
            found = self._source.read(folder, image_size)
            arrays = Arrays(*found) if isinstance(found, tuple) else None
        if arrays is None:
            self._refuse(f"read gives {in_short(found)}; needed: Arrays")
        for part, number, images, labels in (
            ("train", survey.num_train, arrays.train_images, arrays.train_labels),
            ("test", survey.num_test, arrays.test_images, arrays.test_labels),
            (
                "validation",
                survey.num_validation,
                arrays.validation_images,
                arrays.validation_labels,
            ),
        ):
            if images is None and labels is None and not number:
                continue
            shape = getattr(images, "shape", ())
            is_fit = len(shape) == 4 and shape[:2] == (number, survey.channels)
            if not is_fit or images is None or labels is None:
                self._refuse(
                    f"read gives {part} images {[*shape]}; needed: "
                    f"[{number}, {survey.channels}, H, W], as survey says"
                )
            if images.dtype != "uint8" or labels.dtype != "int64" or labels.shape != (number,):
                self._refuse(
                    f"read gives {part} images of {images.dtype} and labels of {labels.dtype} "
                    f"{[*labels.shape]}; needed: uint8, and int64 [{number}]"
                )
        return arrays

    def _refuse(self, what: str) -> NoReturn:
        raise DataError(f"{told(self._entry)}: {what}; that package must be mended")
