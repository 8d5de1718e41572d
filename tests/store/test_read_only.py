import sqlite3

import pytest

from spikenas.exceptions import StoreError
from spikenas.store import Store, connection


@pytest.fixture(params=[True, False])
def read_only(request, tmp_path, monkeypatch):
    """The URL of a store with a run, closed or with a log, that cannot be written."""
    url = f"sqlite:///{tmp_path}/runs.db"
    store = Store.open(url)
    store.begin_run("a", settings={}, space_toml="", seed=0, objectives=["accuracy"])
    if request.param:
        store.close()
    monkeypatch.setattr(connection, "_is_read_only", lambda _: True)
    yield url
    store.close()


def test_a_store_that_is_read_only_is_read(read_only):
    with Store.open(read_only, create=False) as store:
        assert store.run().name == "a"


def test_what_a_driver_writes_meanwhile_is_read(tmp_path, monkeypatch):
    url, run = f"sqlite:///{tmp_path}/runs.db", {"settings": {}, "space_toml": "", "seed": 0}
    with Store.open(url) as driver:
        driver.begin_run("a", objectives=["accuracy"], **run)
        monkeypatch.setattr(connection, "_is_read_only", lambda _: True)

        with Store.open(url, create=False) as store:
            driver.begin_run("b", objectives=["accuracy"], **run)

            assert [each.name for each in store.runs()] == ["b", "a"]


def test_what_would_be_written_to_the_copy_of_a_read_only_store_is_refused(read_only, tmp_path):
    with Store.open(read_only, create=False) as store:
        with pytest.raises(StoreError, match="can be read, but not written; make the file"):
            store.resume_run("a")
        with pytest.raises(StoreError, match="can be read, but not written"):
            store.begin_run("b", settings={}, space_toml="", seed=0, objectives=["accuracy"])
    with pytest.raises(StoreError, match="can be read, but not written"):
        Store.open(read_only)  # as a search does

    with sqlite3.connect(tmp_path / "runs.db") as database:
        assert database.execute("SELECT name, fence FROM runs").fetchall() == [("a", 1)]
