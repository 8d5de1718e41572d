"""Find and read the TOML files that ship with the code.

A wheel carries search spaces and worker profiles under ``spikenas/_shipped/``; a source checkout
keeps them in the top-level folders of the same name.
"""

import codecs
import json
import re
import tomllib
import unicodedata
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from spikenas.exceptions import SpecError, UnknownNameError, UsageError, in_short

Kind = Literal["search_spaces", "workers"]

_MARKS = (  # the longer first: the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_CURE = "save it as UTF-8"
_QUOTES = "\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2032\u2033"


def name_of(kind: str, name_or_path: str | Path) -> str:
    """Return a name or path as text; raises UsageError for an object of another type."""
    if not isinstance(name_or_path, str | Path):
        raise UsageError(
            f"a {kind} is taken by name, or by a path ending in .toml, not as "
            f"{in_short(name_or_path)}"
        )
    return str(name_or_path)


def read(kind: Kind, name_or_path: str | Path) -> str:
    """Return the text of a shipped file by name, or of the user's own file by path."""
    called = kind.removesuffix("s").replace("_", " ")
    name = name_of(called, name_or_path)
    return read_file(name) if name.endswith(".toml") else read_from(_folder(kind), called, name)


def read_from(folder: Traversable, kind: str, name_or_path: str | Path) -> str:
    """Return the text of a file of a folder by name, or of the user's own file by path."""
    name = name_of(kind, name_or_path)
    if name.endswith(".toml"):
        return read_file(name)
    known = names_in(folder)
    if name not in known:
        hint = "To use your own file, give its path ending in .toml"
        raise UnknownNameError(kind, name, known, hint=hint)
    return (folder / f"{name}.toml").read_text(encoding="utf-8")


def read_file(path: str | Path) -> str:
    """Return the text of a user's file, in UTF-8 with or without a byte order mark.

    Raises SpecError if there is no such file, or if it has another encoding.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise SpecError(f"{path}: cannot be read as a text file: {error}") from error
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            raise SpecError(f"{path}: cannot be read as a text file: is {encoding}; {_CURE}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n|\r|\n", error.object[: error.start])) + 1
        raise SpecError(
            f"{path}: cannot be read as a text file: byte 0x{error.object[error.start]:02x} of "
            f"line {line} is not UTF-8; {_CURE}"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text; raises SpecError without a file name."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        odd = _odd_character(text, int(place[1]) if place else None)
        raise SpecError(f"is not valid TOML: {error}{odd}") from None
    except RecursionError:
        raise SpecError("is not valid TOML: nested too deeply") from None
    except ValueError as error:  # a number with too many digits
        raise SpecError(f"is not valid TOML: {error}") from None


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; raises SpecError without a file name."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        odd = _odd_character(text, error.lineno)
        raise SpecError(f"cannot be read as JSON: {error}{odd}") from None
    except RecursionError:
        raise SpecError("cannot be read as JSON: nested too deeply") from None
    except ValueError as error:  # a number with too many digits
        raise SpecError(f"cannot be read as JSON: {error}") from None


def _odd_character(text: str, line: int | None) -> str:
    """Name the first misleading character of a line, by default of the last one."""
    lines = text.rstrip("\n").split("\n")
    index = len(lines) - 1 if line is None else min(line, len(lines)) - 1
    for column, character in enumerate(lines[index], start=1):
        if character in _QUOTES:
            cure = "write a straight quote"
        elif unicodedata.category(character) == "Zs" and character != " ":
            cure = "write a plain space"
        elif unicodedata.category(character) in ("Cc", "Cf") and character != "\t":
            cure = "delete it"
        else:
            continue
        name = unicodedata.name(character, "a control character")
        return f"; column {column} of line {index + 1} is U+{ord(character):04X}, {name}: {cure}"
    return ""


def names(kind: Kind) -> list[str]:
    """Return the names of the shipped files of one kind, sorted."""
    return names_in(_folder(kind))


def names_in(folder: Traversable) -> list[str]:
    """Return the names of the TOML files in a folder, sorted."""
    found = (file.name for file in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def _folder(kind: Kind) -> Traversable:
    packaged = files("spikenas") / "_shipped" / kind
    if packaged.is_dir():
        return packaged
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / "pyproject.toml").is_file():  # never read files of other packages
        raise FileNotFoundError(f"this installation of spikenas lacks its {kind}; reinstall it")
    return checkout / kind
