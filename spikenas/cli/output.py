"""How commands speak: data on stdout, everything else on stderr, never a password."""

import json
import re
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from spikenas.cli.documents import Document

_PASSWORD = re.compile(r"(?P<before>\w://[^\s:/@]*:)\S*(?=@)|(?P<query>[?&]\w*password=)[^\s&]*")
_WIDTH_OF_A_PIPE = 160


def say(message: str) -> None:
    """Write one message to stderr."""
    print(redacted(message), file=sys.stderr, flush=True)


def print_document(document: "Document") -> None:
    """Write one JSON document to stdout."""
    print(json.dumps(asdict(document), indent=2, ensure_ascii=False, allow_nan=False))


def print_table(table: "Table", heading: str = "") -> None:
    """Write a table to stdout under a line of text; a pipe gets a wide one."""
    from rich.console import Console

    if heading:
        print(heading)
    if table.row_count:
        Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE).print(table)


def redacted(text: str) -> str:
    """Return the text with the passwords of database URLs masked."""
    return _PASSWORD.sub(lambda found: f"{found['before'] or found['query']}***", text)
