"""`spikenas(...)`: run one command in this process; what it printed and how it ended."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from spikenas.cli import main


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tables be as wide as their rows, also where somebody exports COLUMNS."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def spikenas(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Ended(code=code, **capsys.readouterr()._asdict())

    return run


@pytest.fixture
def schema(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Return the schema of a command's document, from the reference."""
    folder = request.config.rootpath / "docs" / "reference" / "json"
    return lambda name: json.loads((folder / f"{name}.schema.json").read_text())
