"""Installed packages made by hand, and runs whose record does not say that it needs them."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path


def write_package(folder: Path, code: str, *, module: str, group: str, **entries: str) -> None:
    """Write a package ``MODULE-1.0`` with entry points ``name="attribute"``, as pip installs it."""
    (folder / f"{module}.py").write_text(code)
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = [f"{name} = {module}:{attribute}" for name, attribute in entries.items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[spikenas.{group}]", *lines, ""]))
    (metadata / "RECORD").write_text(f"{module}.py,,\n")


def forge_settings(database: Path, **changes: object) -> None:
    """Change what the only run of a database has on record, as whoever sends the file can."""
    with closing(sqlite3.connect(database)) as connection, connection:
        (text,) = connection.execute("SELECT settings FROM runs").fetchone()
        settings = {**json.loads(text), **changes}
        connection.execute("UPDATE runs SET settings = ?", [json.dumps(settings)])
