"""Put the module of faulty jobs where this process and every worker find it."""

import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from spikenas.evaluator import Job


@pytest.fixture(scope="session", autouse=True)
def faulty_jobs_are_importable() -> Iterator[None]:
    folder = str(Path(__file__).parent)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, before]))
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)
    del os.environ["PYTHONPATH"]
    if before is not None:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="session")
def job(faulty_jobs_are_importable) -> Callable[..., Job]:
    """Make a job, which `faulty_jobs.answer` answers as its id says."""
    return import_module("faulty_jobs").make_job
