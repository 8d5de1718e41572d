"""Put what the benches are made of where tests find it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def benches_are_importable() -> Iterator[None]:
    folder = str(Path(__file__).parents[2] / "scripts" / "benches")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)
