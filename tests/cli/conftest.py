"""`spikenas(...)`: run one command in this process; what it printed and how it ended."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from spikenas.cli import main


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    code: int
    out: str
    err: str


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
