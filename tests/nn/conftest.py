"""Golden cases without the shared folder: those whose arrays lie in ``tests/golden``."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared(shared_if_there: Path | None) -> Path:
    return shared_if_there or Path(__file__).parents[1]
