"""The output of commands: data to stdout, everything else to stderr, without passwords."""

import json
import os
import re
import shlex
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from spikenas.cli.documents import Document

_PASSWORD = re.compile(r"(?P<before>\w://[^\s:/@]*:)\S*(?=@)|(?P<query>[?&]\w*password=)[^\s&]*")
_ANY_WIDTH = 100_000
_NARROWEST = 8  # characters of a column whose text is folded


def say(message: str) -> None:
    """Write one message to stderr; a failed write does not end the command."""
    with suppress(OSError):
        print(redacted(message), file=sys.stderr, flush=True)


def say_how_to_load(export: Path, *, has_plugins: bool = False) -> None:
    """Print the command that loads an export; the path is quoted as JSON, which Python reads."""
    consent = ", allow_plugins=True" * has_plugins
    text = json.dumps(str(export), ensure_ascii=False)
    code = f"import spikenas; network = spikenas.load({text}{consent})"
    say(f"load it with: python -c {shlex.quote(code)}")


def print_document(document: "Document") -> None:
    """Write one JSON document to stdout."""
    is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
    print(json.dumps(asdict(document), indent=2, ensure_ascii=not is_utf8, allow_nan=False))


def print_table(table: "Table", heading: str = "") -> None:
    """Write a heading and a table to stdout, without truncating any cell.

    The table is as wide as COLUMNS or the terminal; in a pipe without COLUMNS, as wide as its
    rows. If the columns would be too narrow to read, each row becomes a block of lines.
    """
    from rich.console import Console

    if heading:
        print(heading)
    if not table.row_count:
        return
    console = Console(width=_ANY_WIDTH)
    gaps = 2 * (len(table.columns) - 1)
    widest, least = gaps, gaps
    for column in table.columns:
        column.overflow = "fold"  # rather than an ellipsis
        width = max(console.measure(cell).maximum for cell in (column.header, *column.cells))
        widest += width
        least += width if column.no_wrap else min(width, _NARROWEST)
    console.width = max(_requested_width() or widest, _NARROWEST)
    with console.capture() as captured:
        console.print(table if least <= console.width else _blocks(table))
    for line in captured.get().splitlines():
        print(line.rstrip())


def _requested_width() -> int | None:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _blocks(table: "Table") -> "Table":
    """Return a table with one line per cell, which begins with the heading of the column."""
    from rich.table import Table

    blocks = Table.grid("", "", padding=(0, 2, 0, 0))
    blocks.columns[0].style = "bold"
    blocks.columns[1].overflow = "fold"
    blocks.caption, blocks.caption_justify = table.caption, table.caption_justify
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        if blocks.row_count:
            blocks.add_row()
        for column, cell in zip(table.columns, cells, strict=True):
            blocks.add_row(column.header, cell)
    return blocks


def redacted(text: str) -> str:
    """Return the text with the passwords of database URLs masked."""
    return _PASSWORD.sub(lambda found: f"{found['before'] or found['query']}***", text)
