"""What `search` takes by name it takes as the object: limits, a store, a pool of workers."""

from pathlib import Path
from typing import Any

import pytest

import spikenas
from spikenas import DataSpec, Limits, Store, driver
from spikenas.distributed import InlinePool
from spikenas.exceptions import NotFoundError, UsageError
from spikenas.worker_profile import WorkerProfile

from .conftest import Search


class _ClosedOnce(InlinePool):
    """Tells whether it was closed by anybody but its owner."""

    closed = 0

    def close(self) -> None:
        self.closed += 1
        super().close()


def test_a_pool_of_the_callers_own_trains_and_stays_open(search: Search, url: str) -> None:
    with _ClosedOnce() as pool:
        run = search(name="mine", workers=pool, trials=1)

        assert pool.closed == 0
        assert run.counts()["complete"] == 1
        assert run.settings.workers is None
        assert run.settings.max_attempts == WorkerProfile().max_attempts
        with pytest.raises(UsageError, match=r"was given in Python; give one again.*workers=pool"):
            driver.resume("mine", store=url)
        assert driver.resume("mine", store=url, workers=pool).counts() == run.counts()


def test_a_store_that_is_open_is_written_and_stays_open(search: Search, url: str) -> None:
    with Store.open(url) as store:
        run = search(name="mine", store=store, trials=1)

        assert [each.name for each in store.runs()] == ["mine"]
        assert driver.resume("mine", store=store).counts() == run.counts()
        with pytest.raises(UsageError, match=r"Store.open\(url, artifacts=...\)"):
            search(store=store, artifacts="elsewhere")


def test_fields_by_name_change_the_objects_that_are_given(search: Search) -> None:
    run = search(
        data=DataSpec(name="digits", train_subset=80, split_seed=3),
        train_subset=60,
        limits=Limits(max_parameters=10**6),
        max_memory_gib=2,
        workers=WorkerProfile(kind="inline"),
        trials=1,
    )

    settings = run.settings
    assert (settings.data.train_subset, settings.data.split_seed) == (60, 3)
    assert settings.limits == Limits(max_parameters=10**6, max_memory_gib=2, batch_size=30)


def test_a_candidate_of_a_run_is_exported_from_python(search: Search, tmp_path: Path) -> None:
    run = search(trials=2)
    best = run.best("accuracy")

    folder = run.export(best, tmp_path / "best", formats=["pt2"])
    by_id = run.export(best.id, tmp_path / "again")

    assert sorted(path.name for path in folder.iterdir() if path.suffix in {".pt2", ".json"}) == [
        "architecture.json",
        "metrics.json",
        "model.pt2",
        "preprocessing.json",
        "provenance.json",
    ]
    assert spikenas.load(folder).architecture == spikenas.load(by_id).architecture
    with pytest.raises(UsageError, match="exists"):
        run.export(best, folder)
    with pytest.raises(UsageError, match="onxx"):
        run.export(best, tmp_path / "no", formats=["onxx"])
    with pytest.raises(NotFoundError, match="has no candidate"):
        run.export("0" * 12, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_space_is_restricted_for_one_search_and_when_that_is_resumed(
    search: Search, url: str
) -> None:
    run = search(name="mine", only={"num_steps": 2, "neuron": ["lif"]}, trials=2)

    assert {(c.architecture.num_steps, c.architecture.neuron) for c in run.candidates()} == {
        (2, "lif")
    }
    assert run.settings.only == {"num_steps": (2,), "neuron": ("lif",)}
    assert run.settings.load_space(allow_plugins=False).only == run.settings.only
    assert driver.resume("mine", store=url).counts() == run.counts()
    with pytest.raises(UsageError, match="did you mean 'num_steps'"):
        search(only={"num_step": 2})


def test_a_candidate_of_another_run_is_not_exported_under_this_one(
    search: Search, tmp_path: Path
) -> None:
    first, second = search(name="first", trials=1), search(name="second", trials=1, seed=5)

    with pytest.raises(UsageError, match="is of run 'first', not of run 'second'"):
        second.export(first.best("accuracy"), tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda run: run.export(None, "out"), "candidate = None; needed: a Candidate of this run"),
        (lambda run: run.export(run.best("accuracy"), 5), "to = 5; needed: the path of a folder"),
        (lambda run: run.export(run.best("accuracy"), "out", formats="pt2"), "needed: a list"),
        (lambda run: run.candidates("refused"), r"states = 'refused'; needed: a list"),
        (lambda run: run.candidates(["refuse"]), "did you mean 'refused'"),
        (lambda run: run.candidates(where=5), "where = 5; needed: text"),
        (lambda run: run.pareto_front("accuracy"), "objectives = 'accuracy'; needed: a list"),
        (lambda run: spikenas.load(5), "folder = 5; needed: the path of a folder"),
        (
            lambda run: spikenas.energy(run.candidates()[0].architecture, spike_rate=2),
            "spike_rate = 2; needed: a number from 0 to 1",
        ),
    ],
)
def test_what_a_run_cannot_take_is_a_sentence(search: Search, call: Any, complaint: str) -> None:
    run = search(trials=1)

    assert run.candidates(["complete"]) == run.candidates([spikenas.State.COMPLETE])
    with pytest.raises(UsageError, match=complaint):
        call(run)
