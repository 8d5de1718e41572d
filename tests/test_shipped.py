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


@pytest.mark.parametrize(
    "content",
    [
        b"a = 1\nb = 2\n",
        b"\xef\xbb\xbfa = 1\nb = 2\n",
        b"a = 1\r\nb = 2\r\n",
        b"\xef\xbb\xbfa = 1\r\nb = 2\r\n",
        b"a = 1\rb = 2\r",
    ],
)
def test_a_byte_order_mark_and_any_line_ends_are_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.toml").write_bytes(content)

    assert shipped.read_file(tmp_path / "x.toml") == "a = 1\nb = 2\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a = 1".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        (b"\xfe\xff" + "a = 1".encode("utf-16-be"), "is UTF-16; save it as UTF-8"),
        ("a = 1".encode("utf-32"), "is UTF-32; save it as UTF-8"),
        (b"a = 1\r\n# gr\xf6", "byte 0xf6 of line 2 is not UTF-8; save it as UTF-8"),
        (b"\x89PNG\r\n", "byte 0x89 of line 1 is not UTF-8"),
    ],
)
def test_another_encoding_is_named_with_its_cure(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.toml").write_bytes(content)

    with pytest.raises(SpecError, match=said):
        shipped.read_file(tmp_path / "x.toml")


def test_a_folder_is_refused_as_a_text_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read as a text file"):
        shipped.read_file(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = \u201cx\u201d\n", r"column 5 of line 2 is U\+201C, .*straight quote"),
        ("a\u00a0=\u00a01", r"U\+00A0, NO-BREAK SPACE: write a plain space"),
        ("a = 1\n\0", r"U\+0000, a control character: delete it"),
        ("a = " + "[" * 5000, "nested too deeply"),
    ],
)
def test_what_toml_cannot_hold_is_named(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=f"is not valid TOML: .*{said}|TOML: {said}"):
        shipped.parse_toml(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{\n\u201ca\u201d: 1}", r"column 1 of line 2 is U\+201C, .*straight quote"),
        ('{"a":\u00a01}', r"U\+00A0, NO-BREAK SPACE: write a plain space"),
        ("[" * 200_000, "nested too deeply"),
        ("", "Expecting value"),
    ],
)
def test_what_json_cannot_hold_is_named(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=f"cannot be read as JSON: .*{said}|JSON: {said}"):
        shipped.parse_json(text)


def test_a_file_that_is_absent_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"absent\.toml: no such file$"):
        shipped.read("search_spaces", tmp_path / "absent.toml")


@pytest.mark.parametrize("folder", ["search_spaces", "workers"])
def test_the_declarative_folders_hold_no_python(folder: str) -> None:
    assert not [*(REPOSITORY / folder).rglob("*.py")]
