"""A wrong setting is a sentence that names what was found, before anything is recorded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikenas import driver
from spikenas.distributed import InlinePool
from spikenas.exceptions import UsageError

from .conftest import Search


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"trials": 0}, "trials = 0"),
        ({"sampler": "tpee"}, "did you mean 'tpe'"),
        ({"objectives": ("acuracy",)}, "did you mean 'accuracy'"),
        ({"energy_model": "cmos54"}, "did you mean 'cmos45'"),
        ({"energy_model": "loihi2"}, "gives no joules.*--objectives accuracy,synops"),
        ({"chip": "async_generik"}, "did you mean 'async_generic'"),
        ({"recipe": "digit"}, "did you mean 'digits'"),
        ({"time_budget_s": 0}, "time_budget_s = 0"),
        ({"time_budget_s": "5m"}, "time_budget_s = '5m'; needed: seconds"),
        ({"trials": "12"}, "trials = '12'; needed: a whole number"),
        (
            {"sampler": InlinePool()},
            "a sampler is named by text, not by an InlinePool; known: gp",
        ),
        ({"objectives": [len]}, "objective is named by text, not by the builtin_function.* len"),
        ({"objectives": "accuracy"}, "objectives = 'accuracy'; needed: a list of names"),
        ({"data": (np.ones((9, 1, 8, 8)), [0])}, "train has 9 images, but 1 labels"),
        ({"data": 3}, "data = 3; needed: the name of a data set, a DataSpec, an OwnData"),
        ({"chip": {"name": "mine"}}, "a chip is taken by name, or by a path.*, not as a dict"),
        ({"space": 3}, "a search space is taken by name, or by a path.*, not as 3"),
        ({"recipe": 1.5}, "a recipe is taken by name"),
        ({"max_parameters": "1M"}, "max_parameters = '1M'; needed: a number"),
        ({"seed_with": "spikformer-4-384-cifar10"}, "seed_with = .*; needed: a list of published"),
        ({"seed_with": [4]}, "a seed is a published name or an Architecture, not 4"),
        ({"name": 4}, "name = 4; needed: the name of the run as text"),
        ({"store": Path("runs.db")}, "store = PosixPath.*; needed: the URL of a database"),
        ({"limits": 3}, "limits = 3; needed: spikenas.Limits"),
        ({"epoch": 3}, "search has no argument 'epoch'; did you mean 'epochs'"),
        ({"workers": InlinePool(), "num_workers": 2}, "num_workers is of a worker profile"),
        ({"data_root": 5}, "data_root = 5; needed: the path of a folder"),
        ({"workers": 2}, "workers = 2; needed: a name, a WorkerProfile or a WorkerPool"),
        ({"max_memory_gib": 0}, "max_memory_gib = 0"),
    ],
)
def test_wrong_settings_are_named_before_anything_is_recorded(
    search: Search, tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        search(**wrong)

    assert not (tmp_path / "runs.db").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workers": "local"}, "workers = 'local'; needed: a WorkerPool"),
        ({"store": 3}, "store = 3; needed: the URL"),
        ({"name": 3}, "name = 3; needed: the name of the run"),
    ],
)
def test_resume_tells_a_wrong_argument_by_its_name(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        driver.resume(**wrong)
