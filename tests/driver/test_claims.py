"""What an export would refuse is refused before anything is trained or recorded."""

from pathlib import Path

import pytest

from spikenas.exceptions import UsageError
from spikenas.export import check_claims
from spikenas.hardware import chip
from spikenas.settings import SearchSettings
from spikenas.store import Store

from .conftest import Search


@pytest.mark.parametrize("name", ["/home/ada/first", "see sqlite:///runs.db", "of ~/pictures"])
def test_a_run_whose_name_is_a_path_is_refused_before_it_begins(
    search: Search, url: str, name: str
) -> None:
    with pytest.raises(UsageError, match="impossible"):
        search(name=name)

    with Store.open(url) as store:
        assert store.runs() == []


def test_a_chip_whose_name_is_a_path_is_refused_before_a_run_begins(
    search: Search, url: str, tmp_path: Path
) -> None:
    toml = chip("async_generic").toml
    (tmp_path / "mine.toml").write_text(
        toml.replace('name = "async_generic"', 'name = "/srv/chips/mine"', 1)
    )

    with pytest.raises(UsageError, match="is no name"):
        search(chip=tmp_path / "mine.toml")

    with Store.open(url) as store:
        assert store.runs() == []


def test_a_claim_that_no_export_may_make_ends_a_search_before_it_begins(
    search: Search, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SearchSettings, "claims", lambda _, run: {"run": run, "space": "~/mine"})

    with pytest.raises(UsageError, match=r"could be exported: provenance\.space names a path"):
        search(name="first")

    with Store.open(url) as store:
        assert store.runs() == []


def test_what_a_run_claims_can_be_exported(search: Search) -> None:
    run = search(trials=1, name="host.local")

    told = check_claims(run.settings.claims(run.name))

    assert (told["run"], told["space"], told["seed"]) == ("host.local", "toy", 0)
