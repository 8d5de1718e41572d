"""Shipped files: found by name, never mistaken for code, a user's own by path."""

from pathlib import Path

import pytest

from spikenas import shipped
from spikenas.exceptions import SpecError, UnknownNameError

REPOSITORY = Path(__file__).parents[1]


def test_the_spaces_of_the_checkout_are_found_by_name() -> None:
    assert {"toy", "digits", "fashion_mnist", "cifar10"} <= {*shipped.names("search_spaces")}
    assert "[[stages]]" in shipped.read("search_spaces", "toy")


def test_a_path_ending_in_toml_is_the_users_own_file(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text("mine")

    assert shipped.read("search_spaces", tmp_path / "toy.toml") == "mine"


def test_a_name_is_never_taken_for_a_file_beside_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy").write_text("a stranger's")
    monkeypatch.chdir(tmp_path)

    assert "stranger" not in shipped.read("search_spaces", "toy")


def test_an_unknown_name_gets_the_nearest_and_says_how_to_use_a_file() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'digits'\?.*path ending in \.toml"):
        shipped.read("search_spaces", "digit")


@pytest.mark.parametrize("name", ["../pyproject", "..", "", "/etc/passwd", "toy/../digits"])
def test_a_name_cannot_lead_out_of_the_folder(name: str) -> None:
    with pytest.raises(UnknownNameError):
        shipped.read("search_spaces", name)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(SpecError, match="cannot be read as a text file"):
        shipped.read("search_spaces", tmp_path / "bad.toml")


def test_a_file_that_is_absent_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"absent\.toml: no such file$"):
        shipped.read("search_spaces", tmp_path / "absent.toml")


@pytest.mark.parametrize("folder", ["search_spaces", "workers"])
def test_the_declarative_folders_hold_no_python(folder: str) -> None:
    assert not [*(REPOSITORY / folder).rglob("*.py")]
