"""What an export would refuse is refused before anything is trained or recorded."""

from pathlib import Path

import pytest

from spikenas.exceptions import UsageError
from spikenas.hardware import chip
from spikenas.store import Store

from .conftest import Search


@pytest.mark.parametrize("name", ["/home/ada/first", "see sqlite:///runs.db", "of ~/pictures"])
def test_a_run_whose_name_no_export_may_tell_is_refused_before_it_begins(
    search: Search, url: str, name: str
) -> None:
    with pytest.raises(UsageError, match=r"could be exported: provenance\.run names a path"):
        search(name=name)

    with Store.open(url) as store:
        assert store.runs() == []


def test_a_chip_whose_name_no_export_may_tell_is_refused_before_a_run_begins(
    search: Search, url: str, tmp_path: Path
) -> None:
    toml = chip("async_generic").toml
    (tmp_path / "mine.toml").write_text(
        toml.replace('name = "async_generic"', 'name = "/srv/chips/mine"', 1)
    )

    with pytest.raises(UsageError, match=r"provenance\.chip names a path"):
        search(chip=tmp_path / "mine.toml")

    with Store.open(url) as store:
        assert store.runs() == []


def test_what_a_run_claims_is_what_its_export_checks(search: Search) -> None:
    settings = search(trials=1).settings

    assert "spikenas.evaluator" in settings["code"]
