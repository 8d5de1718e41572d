"""Installed packages made by hand: a module, and the metadata that an installer would write."""

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
