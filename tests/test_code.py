"""The digests of code: one changed byte of any module is seen, and nothing else is."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from spikenas import code
from spikenas.exceptions import UsageError

_FILES = {
    "alone_a.py": "import json\nimport alone_pkg.one\nfrom alone_pkg import two\n",
    "alone_pkg/__init__.py": "",
    "alone_pkg/one.py": "from . import three\nfrom ..missing import x\n",
    "alone_pkg/two.py": "def late():\n    from alone_pkg.four import y\n",
    "alone_pkg/three.py": "import torch\n",
    "alone_pkg/four.py": "y = 1\n",
    "alone_pkg/kernel.c": "int x;\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in _FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    code.refresh()
    return tmp_path


def test_every_module_that_is_imported_has_a_digest_and_packages_of_others_a_version(
    folder: Path,
) -> None:
    found = code.sources(["alone_a"])
    ours = {name for name, each in found.items() if each.startswith("sha256:")}
    assert ours == {
        "alone_a",
        "alone_pkg",
        "alone_pkg:kernel.c",
        "alone_pkg.one",
        "alone_pkg.two",
        "alone_pkg.three",
        "alone_pkg.four",
    }
    assert found["torch (distribution)"].startswith("version ")
    assert "alone_a" not in sys.modules


@pytest.mark.parametrize("name", _FILES)
def test_one_byte_more_in_any_file_is_seen(folder: Path, name: str) -> None:
    before = code.sources(["alone_a"])
    (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
    code.refresh()
    assert len(code.changes(before, code.sources(["alone_a"]))) == 1


def test_another_process_finds_the_same(folder: Path) -> None:
    script = "from spikenas.code import sources; print(sources(['alone_a', 'spikenas.evaluator']))"
    path = f"import sys; sys.path.insert(0, {str(folder)!r}); "
    done = subprocess.run(
        [sys.executable, "-c", path + script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(code.sources(["alone_a", "spikenas.evaluator"]))


def test_a_plugin_edited_after_it_registered_is_refused_at_its_first_digest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "edited_plugin.py").write_text("x = 1\n")
    importlib.import_module("edited_plugin")
    code.note_registration("edited_plugin")
    assert code.sources(["edited_plugin"])
    code.refresh()
    (folder / "edited_plugin.py").write_text("x = 2\n")

    with pytest.raises(UsageError, match=r"edited_plugin was edited after .* start Python anew"):
        code.sources(["edited_plugin"])
    monkeypatch.delitem(sys.modules, "edited_plugin")


def test_a_module_edited_after_its_import_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "edited_late.py").write_text("x = 1\n")
    importlib.import_module("edited_late")
    code.sources(["edited_late"])
    (folder / "edited_late.py").write_text("x = 2\n")
    with pytest.raises(UsageError, match=r"edited_late was edited after .* start Python anew"):
        code.refresh()
    monkeypatch.delitem(sys.modules, "edited_late")
    code.refresh()
