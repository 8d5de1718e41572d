"""Find the files that ship beside the code: search spaces and worker profiles.

A wheel carries them under ``spikenas/_shipped/``; a source checkout keeps them in the
top-level folders of the same name.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

from spikenas.exceptions import SpecError, UnknownNameError

Kind = Literal["search_spaces", "workers"]


def read(kind: Kind, name_or_path: str | Path) -> str:
    """Return the text of a shipped file by name, or of the user's own file by path."""
    name = str(name_or_path)
    if name.endswith(".toml"):
        return read_file(name)
    shipped = names(kind)
    if name not in shipped:
        raise UnknownNameError(
            kind.removesuffix("s").replace("_", " "),
            name,
            shipped,
            hint="To use your own file, give its path ending in .toml",
        )
    return (_folder(kind) / f"{name}.toml").read_text(encoding="utf-8")


def read_file(path: str) -> str:
    """Return the text of a user's file; raises SpecError where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise SpecError(f"{path}: cannot be read as a text file: {error}") from error


def names(kind: Kind) -> list[str]:
    """Return the names of the shipped files of one kind, sorted."""
    shipped = (file.name for file in _folder(kind).iterdir())
    return sorted(name.removesuffix(".toml") for name in shipped if name.endswith(".toml"))


def _folder(kind: Kind) -> Traversable:
    packaged = files("spikenas") / "_shipped" / kind
    if packaged.is_dir():
        return packaged
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / "pyproject.toml").is_file():  # never read a stranger's site-packages
        raise FileNotFoundError(f"this installation of spikenas lacks its {kind}; reinstall it")
    return checkout / kind
