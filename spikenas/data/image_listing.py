"""`Listing`: which files of a folder are images of which class and part, and what was left out.

Parts are ``train``, ``val`` and ``test``, in any capitalisation, also as ``training``, ``valid``,
``validation`` and ``testing``; without them the folder holds the classes itself. A class holds its
images, a folder ``images`` with them, or both. What an operating system or an editor put there
is passed over; every other file is an image, or is counted in a note, or is refused by its name.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from spikenas.data.source import is_foreign
from spikenas.exceptions import DataError, shown

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".gif"),
)
_PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_LAYOUT = (
    "Expected: ROOT/train/CLASS/*.png and, if there are, ROOT/val/CLASS and ROOT/test/CLASS, or "
    f"ROOT/CLASS/*.png; image files end in {', '.join(SUFFIXES)}"
)
Labelled = list[tuple[Path, int]]  # file and label


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a folder; ``validation`` and ``test`` are empty where there is no such part."""

    classes: tuple[str, ...]
    train: Labelled
    validation: Labelled
    test: Labelled
    notes: tuple[str, ...]

    @property
    def files(self) -> list[Path]:
        """All images, in the order of training, validation and test part."""
        return [path for path, _ in (*self.train, *self.validation, *self.test)]


def listed_images(folder: Path) -> Listing:
    """List a folder; raises DataError, naming the file or folder that does not fit."""
    if not folder.is_dir():
        raise DataError(f"image_folder: there is no folder {shown(folder)}. {_LAYOUT}")
    skipped: list[Path] = []
    parts = _parts(folder)
    train = parts.get("train", folder)
    if parts and "train" not in parts:
        raise DataError(
            f"image_folder: {shown(folder)} has {', '.join(p.name for p in parts.values())}, but "
            f"no train. {_LAYOUT}"
        )
    for home in {folder, *parts.values()}:
        skipped += _beside_folders(home)
    classes = _classes(train)
    files = {"train": _images(train, classes, skipped)}
    for part in ("val", "test"):
        files[part] = []
        if part in parts:
            _refuse_other_classes(parts[part], classes, train)
            files[part] = _images(parts[part], classes, skipped)
    return Listing(
        classes=tuple(classes),
        train=files["train"],
        validation=files["val"],
        test=files["test"],
        notes=_notes(sorted(skipped)),
    )


def _parts(folder: Path) -> dict[str, Path]:
    """Return the folders of the parts by name; empty where the folder holds the classes."""
    parts: dict[str, Path] = {}
    others = []
    for path in _folders(folder):
        part = _PARTS.get(path.name.lower())
        if part is None:
            others += [path] if any(path.iterdir()) else []
        elif part in parts:
            raise DataError(
                f"image_folder: {shown(parts[part])} and {shown(path)} are both the {part} part; "
                "move one elsewhere"
            )
        else:
            parts[part] = path
    if parts and others:
        raise DataError(
            f"image_folder: {shown(folder)} has the part {next(iter(parts.values())).name} and "
            f"beside it {shown(others[0])}, which is none; move one of them elsewhere. {_LAYOUT}"
        )
    return parts


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_foreign(path.name))


def _beside_folders(folder: Path) -> list[Path]:
    """Return what lies beside the folders of the classes or parts."""
    others = [path for path in folder.iterdir() if not (path.is_dir() or is_foreign(path.name))]
    for path in others:
        _refuse_link_to_nothing(path)
    return others


def _refuse_link_to_nothing(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise DataError(f"{shown(path)} is a link to nothing; delete it or mend it")


def _classes(folder: Path) -> list[str]:
    names = [path.name for path in _folders(folder)]
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"image_folder: the class folder {shown(folder / name)} has a name that is not "
                "UTF-8; rename it"
            ) from None
    if len(names) < 2:
        raise DataError(
            f"image_folder: {shown(folder)} has {len(names)} class folders; two are the least. "
            f"{_LAYOUT}"
        )
    return names


def _refuse_other_classes(part: Path, classes: list[str], train: Path) -> None:
    found = {path.name for path in _folders(part)}
    for kind, names in (("lacks", set(classes) - found), ("has", found - set(classes))):
        if names:
            raise DataError(
                f"image_folder: {shown(part)} {kind} {', '.join(sorted(map(repr, names)))}, unlike "
                f"{shown(train)}; every part needs the same classes"
            )


def _images(part: Path, classes: list[str], skipped: list[Path]) -> Labelled:
    listing: Labelled = []
    for label, name in enumerate(classes):
        home = part / name
        files = _files(home, skipped)
        if (home / "images").is_dir():
            files += _files(home / "images", skipped)
        if not files:
            raise DataError(f"image_folder: class folder {shown(home)} has no image. {_LAYOUT}")
        listing += [(path, label) for path in files]
    return listing


def _files(folder: Path, skipped: list[Path]) -> list[Path]:
    files = []
    for path in sorted(folder.iterdir()):
        if is_foreign(path.name):
            continue
        _refuse_link_to_nothing(path)
        if path.suffix.lower() not in SUFFIXES:
            if not (path.is_dir() and path.name == "images"):
                skipped.append(path)
        elif not path.is_file():
            raise DataError(f"{shown(path)} is named as an image and is no file; rename or move it")
        elif path.stat().st_size == 0:
            raise DataError(f"{shown(path)} is an empty file; delete it or put the image back")
        else:
            files.append(path)
    return files


def _notes(skipped: list[Path]) -> tuple[str, ...]:
    files: list[Path] = []
    for path in skipped:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        files += [each for each in inside if not (each.is_dir() or is_foreign(each.name))]
    if not files:
        return ()
    kinds = Counter(path.suffix.lower() or "without suffix" for path in files)
    by_kind = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return (
        f"image_folder: left out are {len(files)} files that are no images of a class ({by_kind}); "
        f"the first is {shown(files[0])}",
    )
