"""`Store.look` tells how a store stands, and leaves it so."""

import sqlite3
from contextlib import closing

import pytest

from spikenas.exceptions import StoreError
from spikenas.store import Store, connection


@pytest.fixture
def look(tmp_path):
    """Look at a store, and see that nothing beside or in it has changed."""

    def look():
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        try:
            return Store.look(f"sqlite:///{tmp_path}/runs.db")
        finally:
            assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    return look


def test_an_empty_file_stays_empty(look, tmp_path):
    (tmp_path / "runs.db").touch()

    assert "is empty: the first search will make its tables" in look()


def test_an_older_store_is_not_brought_to_the_present_schema(look, tmp_path, monkeypatch):
    Store.open(f"sqlite:///{tmp_path}/runs.db").close()
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("UPDATE spikenas_version SET version_num = '0001'")

    assert "older spikenas (revision 0001): the first command that opens it" in look()
    monkeypatch.setattr(connection, "_is_read_only", lambda _: True)
    with pytest.raises(StoreError, match="make the file and its folder writable"):
        look()


def test_a_store_that_is_read_only_can_be_used(look, tmp_path, monkeypatch):
    Store.open(f"sqlite:///{tmp_path}/runs.db").close()
    monkeypatch.setattr(connection, "_is_read_only", lambda _: True)

    assert "runs.db, 0 runs, can be read, but not written" in look()


def test_a_folder_is_no_store(tmp_path):
    (tmp_path / "runs.db").mkdir()

    with pytest.raises(StoreError, match="is a folder"):
        Store.look(f"sqlite:///{tmp_path}/runs.db")
