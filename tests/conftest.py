"""What every test may use: the shared folder, and the count of golden and oracle cases.

Golden cases compare with arrays that the authors' code computed, oracle cases with verdicts of
vendors' tools. Both lie outside the repository; without them those tests are skipped, and the
last line of a test run says how many.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

_KINDS = ("golden", "oracle")
_ran: Counter[str] = Counter()
_skipped: Counter[str] = Counter()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden arrays, oracles and data sets; skips where it is absent."""
    folder = Path(os.environ.get("SPIKENAS_SHARED") or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip("no shared folder: set SPIKENAS_SHARED")
    return folder


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "golden: compares with arrays of the authors' code")
    config.addinivalue_line("markers", "oracle: compares with verdicts of vendors' tools")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for kind in _KINDS:
        if kind not in report.keywords:
            continue
        if report.skipped:
            _skipped[kind] += 1
        elif report.when == "call":
            _ran[kind] += 1


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.option.collectonly or not config.pluginmanager.hasplugin("terminalreporter"):
        return
    counts = [f"{kind} cases: {_ran[kind]} ran, {_skipped[kind]} skipped" for kind in _KINDS]
    print("; ".join(counts))  # noqa: T201  (after pytest's own last line)
