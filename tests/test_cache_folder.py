import os
import tempfile

import pytest

from spikenas import cache_folder
from spikenas.cache_folder import cached_path


@pytest.fixture(autouse=True)
def temporary(monkeypatch, tmp_path):
    """The temporary folder of the system."""
    monkeypatch.delenv("SPIKENAS_CACHE", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache_folder._writable.cache_clear()
    return tmp_path


def test_the_cache_is_in_the_home_or_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    at_home = cached_path("data/x")
    monkeypatch.setenv("SPIKENAS_CACHE", "~/elsewhere")

    assert at_home == tmp_path / "home/.cache/spikenas/data/x"
    assert cached_path("data/x") == tmp_path / "home/elsewhere/data/x"


@pytest.mark.parametrize("home", ["file", "/proc", "/dev/null/nowhere"])
def test_without_a_writable_home_it_is_the_users_temporary_folder_said_once(
    monkeypatch, caplog, temporary, home
):
    (temporary / "file").write_text("")
    monkeypatch.setenv("HOME", str(temporary / home))

    paths = {cached_path("data/x"), cached_path("data/x")}

    assert paths == {temporary / f"spikenas-cache-{os.getuid()}" / "data/x"}
    (record,) = caplog.records
    assert "cannot be written" in record.message
    assert "SPIKENAS_CACHE" in record.message
    assert paths.pop().parents[1].stat().st_mode & 0o777 == 0o700


def test_a_user_without_a_home_gets_no_folder_called_tilde(monkeypatch, caplog, temporary):
    monkeypatch.setenv("SPIKENAS_CACHE", "~no-such-user/cache")
    monkeypatch.chdir(temporary)

    path = cached_path("data/x")

    assert path.parents[1] == temporary / f"spikenas-cache-{os.getuid()}"
    assert "no home folder" in caplog.text


def test_a_temporary_folder_that_others_can_write_is_not_taken(monkeypatch, temporary):
    strange = temporary / f"spikenas-cache-{os.getuid()}"
    strange.mkdir()
    strange.chmod(0o777)
    monkeypatch.setenv("HOME", "/proc")

    assert cached_path("kernels/x").parents[1] not in (strange, temporary)


def test_a_file_in_a_cache_that_is_read_only_is_found(monkeypatch, tmp_path):
    kept = tmp_path / "cache/data/x"
    kept.parent.mkdir(parents=True)
    kept.write_text("kept")
    monkeypatch.setenv("SPIKENAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_folder, "_fault", lambda _: "Permission denied")

    assert cached_path("data/x") == kept
    assert cached_path("data/y") != kept.with_name("y")


def test_without_any_writable_folder_the_named_one_is_returned(monkeypatch):
    monkeypatch.setenv("SPIKENAS_CACHE", "/proc/cache")
    monkeypatch.setattr(tempfile, "tempdir", "/proc")

    assert str(cached_path("data/x")) == "/proc/cache/data/x"
