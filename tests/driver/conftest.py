from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from spikenas import driver
from spikenas.distributed import InlinePool
from spikenas.driver import arguments
from spikenas.store import Run

Search = Callable[..., Run]
EvaluateBy = Callable[[str], None]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/runs.db"


@pytest.fixture
def search(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Search:
    """A search of seconds: the toy space on 60 digits for one epoch, in this process."""
    monkeypatch.chdir(tmp_path)
    return partial(
        driver.search,
        space="toy",
        data="digits",
        trials=4,
        workers="inline",
        store=url,
        epochs=1,
        batch_size=30,
        train_subset=60,
    )


@pytest.fixture
def evaluate_by(monkeypatch: pytest.MonkeyPatch) -> EvaluateBy:
    """Have the workers run a function of `job_functions` by its name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))

    def choose(name: str) -> None:
        monkeypatch.setattr(
            arguments, "open_pool", lambda _: InlinePool(evaluate=f"job_functions:{name}")
        )

    return choose
