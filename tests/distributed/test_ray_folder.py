import tempfile

import pytest

from spikenas.distributed import open_pool, ray_folder
from spikenas.exceptions import ClusterError
from spikenas.worker_profile import WorkerProfile


@pytest.fixture(autouse=True)
def _nothing_is_named(monkeypatch):
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def short_folder():
    """A folder whose path has room for sockets, which pytest's has not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield folder


def test_ray_lives_where_the_environment_says_ray_tmpdir_first(monkeypatch, short_folder):
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    monkeypatch.setenv("RAY_TMPDIR", short_folder)

    assert str(ray_folder.find_ray_folder()) == f"{short_folder}/ray"


@pytest.mark.parametrize(
    ("folder", "fault"),
    [
        ("/" + "t" * 100, "has 101 bytes, and Ray's sockets leave room for"),
        ("/nowhere/at/all", "cannot be written: No such file or directory"),
        ("/proc", "cannot be written"),
        ("here", "is not an absolute path"),
        pytest.param("/tmp/caf\udce9", "is not UTF-8", id="not UTF-8"),
    ],
)
def test_a_folder_that_ray_cannot_use_is_said_and_another_taken(monkeypatch, caplog, folder, fault):
    monkeypatch.setenv("TMPDIR", folder)

    taken = ray_folder.find_ray_folder()

    assert str(taken) == "/tmp/ray"
    shown = folder.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    assert f"TMPDIR = {shown} {fault}" in caplog.text
    assert "Ray keeps its files in /tmp instead" in caplog.text


def test_without_any_folder_the_pool_is_refused_before_work(monkeypatch):
    monkeypatch.setenv("TMPDIR", "/proc")
    monkeypatch.setattr(ray_folder, "_MOST_BYTES", 0)

    with pytest.raises(
        ClusterError, match=r"TMPDIR = /proc has 5 bytes.*Set RAY_TMPDIR to a short"
    ):
        open_pool(WorkerProfile(num_workers=1))


@pytest.mark.slow
def test_a_pool_works_under_a_temporary_folder_too_long_for_sockets(monkeypatch, tmp_path):
    long = tmp_path / ("t" * 90)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))

    with open_pool(WorkerProfile(threads_per_worker=1)) as pool:
        assert pool.num_workers > 0  # waits for Ray
        assert list(long.iterdir()) == []
