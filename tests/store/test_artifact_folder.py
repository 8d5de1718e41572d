"""Weights lie in a folder that says whose it is."""

import hashlib
import re
import shlex
import shutil
import subprocess

import pytest

from spikenas.evaluation import State
from spikenas.exceptions import NotFoundError, StoreError
from spikenas.store import KeptFile, Store, read_weights
from spikenas.store.artifact_folder import MARKER

RUN = {"settings": {}, "space_toml": "", "seed": 0, "objectives": ["accuracy"]}


@pytest.fixture
def keep(architecture, evaluation):
    """Begin a run in a store, and keep weights of a candidate there."""

    def keep(url, name="first", content=b"weights", **options):
        with Store.open(url, **options) as store:
            writer = store.begin_run(name, **RUN)
            path = store.artifact_folder / name / "w.safetensors"
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            kept = KeptFile("weights", path, hashlib.sha256(content).hexdigest(), len(content))
            row = writer.add(0, architecture(), {}, state=State.QUEUED, margins={}, reuse_key=name)
            writer.record(row, state=State.COMPLETE, evaluation=evaluation(), kept=kept)
            writer.finish("finished")
        return path

    return keep


def weights(url, name="first", **options):
    with Store.open(url, create=False, **options) as store:
        return read_weights(store.run(name).candidates()[0])


def test_a_new_store_under_an_old_name_has_a_folder_of_its_own(tmp_path, keep):
    url, aside = f"sqlite:///{tmp_path}/runs.db", f"sqlite:///{tmp_path}/old.db"
    keep(url, content=b"old")
    (tmp_path / "runs.db").rename(tmp_path / "old.db")
    keep(url, content=b"new")

    assert (weights(aside), weights(url)) == (b"old", b"new")
    (tmp_path / "runs.db").rename(tmp_path / "new.db")
    (tmp_path / "old.db").rename(tmp_path / "runs.db")
    assert weights(url) == b"old"
    assert weights(f"sqlite:///{tmp_path}/new.db") == b"new"


@pytest.mark.parametrize("names", [("runs.db", "runs.sqlite"), ("r.2026-01", "r.2026-02")])
def test_stores_of_like_names_have_a_folder_each(tmp_path, keep, names):
    urls = [f"sqlite:///{tmp_path}/{name}" for name in names]
    for url in urls:
        keep(url, content=url.encode())

    assert [weights(url) for url in urls] == [url.encode() for url in urls]


def test_a_store_that_is_copied_with_its_folder_works_and_is_apart(tmp_path, keep):
    keep(f"sqlite:///{tmp_path}/runs.db")
    there = tmp_path / "there"
    there.mkdir()
    shutil.copy(tmp_path / "runs.db", there)
    shutil.copytree(tmp_path / "runs-artifacts", there / "runs-artifacts")
    url = f"sqlite:///{there}/runs.db"

    assert keep(url, "second").is_relative_to(there)
    shutil.rmtree(tmp_path / "runs-artifacts")
    assert weights(url) == b"weights"


def test_a_store_that_is_moved_alone_says_where_it_looked_and_is_mended(tmp_path, keep):
    keep(f"sqlite:///{tmp_path}/runs.db")
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "runs.db").rename(there / "runs.db")
    url = f"sqlite:///{there}/runs.db"

    with pytest.raises(NotFoundError, match=r"there/runs-artifacts.*--artifacts"):
        weights(url)
    assert weights(url, artifacts=tmp_path / "runs-artifacts") == b"weights"
    with Store.open(url, artifacts=tmp_path / "runs-artifacts") as store:
        store.begin_run("second", **RUN).finish("finished")
    assert weights(url) == b"weights"  # it was recorded


def test_the_folder_of_another_store_is_refused(tmp_path, keep):
    keep(f"sqlite:///{tmp_path}/a.db")
    keep(f"sqlite:///{tmp_path}/b.db")

    with pytest.raises(StoreError, match="another store"):
        Store.open(f"sqlite:///{tmp_path}/a.db", artifacts=tmp_path / "b-artifacts")


@pytest.mark.parametrize(
    ("name", "options"),
    [("a/copy.db", {}), ("a/runs.sqlite", {}), ("b/runs.db", {"artifacts": "big"})],
)
def test_a_copy_without_a_folder_is_read_and_not_written_until_it_has_one(
    tmp_path, monkeypatch, keep, name, options
):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    kept = keep("sqlite:///a/runs.db", **options)
    shutil.copy("a/runs.db", name)
    url = f"sqlite:///{name}"

    assert weights(url) == b"weights"
    with Store.open(url) as store, pytest.raises(StoreError, match="is a copy of") as refused:
        store.begin_run("second", **RUN)

    cure, own = re.search(r"(cp -r \S+ (\S+)), ", str(refused.value)).groups()
    subprocess.run(shlex.split(cure), check=True)
    assert keep(url, "second", artifacts=own).is_relative_to(own)
    assert keep("sqlite:///a/runs.db", "third").parents[1] == kept.parents[1]
    assert weights(url) == weights(url, "second") == b"weights"


def test_a_store_has_one_folder_and_finds_it_wherever_it_is(tmp_path, keep):
    url, big = f"sqlite:///{tmp_path}/runs.db", tmp_path / "big"
    keep(url)

    with Store.open(url, artifacts=big) as store, pytest.raises(StoreError) as refused:
        store.begin_run("second", **RUN)
    subprocess.run(shlex.split(str(refused.value).rpartition(": ")[2]), check=True)
    second = keep(url, "second", artifacts=big)

    assert second.is_relative_to(big)
    assert weights(url) == weights(url, "second") == b"weights"


def test_a_restored_dump_is_refused_the_folder_of_its_original(
    tmp_path, monkeypatch, keep, postgresql
):
    monkeypatch.chdir(tmp_path)
    url = postgresql.new_database()
    keep(url)
    copy = postgresql.copied_database(url)

    with Store.open(copy) as store, pytest.raises(StoreError, match="is a copy of another"):
        store.resume_run("first")
    keep(url.replace("127.0.0.1", "localhost"), "second")  # the same under another name


def test_weights_of_0_1_0_are_found_where_it_kept_them(tmp_path, keep):
    url = f"sqlite:///{tmp_path}/runs.2026-01"
    path = keep(url)
    (path.parents[1] / MARKER).unlink()
    path.parents[1].rename(tmp_path / "runs-artifacts")

    assert weights(url) == b"weights"


def test_a_folder_that_cannot_be_is_told_before_a_run_begins(tmp_path):
    (tmp_path / "runs-artifacts").write_text("a file")

    with Store.open(f"sqlite:///{tmp_path}/runs.db") as store:
        with pytest.raises(StoreError, match="runs-artifacts"):
            store.begin_run("first", **RUN)
        assert store.runs() == []
