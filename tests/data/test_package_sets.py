import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lab_data_set import LAB, install, write_stripes

from spikenas import code as source_code
from spikenas.data import DataSpec, describe, fingerprint, load, names
from spikenas.data.loading import _load
from spikenas.exceptions import DataError, UnknownNameError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Install a package with a data set for this test; returns its data root."""
    site, root = tmp_path / "site", tmp_path / "root"
    site.mkdir()
    root.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "lab_stripes", raising=False)
    source_code.refresh()  # as a new process would
    write_stripes(root)

    def make(code: str = LAB, **options: str) -> Path:
        install(site, code, **options)
        sys.path_importer_cache.pop(str(site), None)
        return root

    return make


def spec(root: Path) -> DataSpec:
    return DataSpec(name="stripes", root=str(root))


def test_its_data_set_is_named_described_and_loaded_like_ours(package: Callable[..., Path]) -> None:
    root = package()

    info = describe(spec(root))
    splits = load(DataSpec(name="stripes", root=str(root), image_size=4, train_subset=20))

    assert "stripes" in names()
    assert info.classes == ("rows", "columns")
    assert (info.num_train, info.num_validation, info.num_test) == (36, 4, 8)
    assert splits.train.images.shape == (20, 1, 4, 4)


def test_its_module_is_imported_only_when_its_files_are_looked_at(
    package: Callable[..., Path],
) -> None:
    root = package()

    names()
    found = DataSpec.from_dict(spec(root).to_dict())

    assert found == spec(root)
    assert found.plugin == "lab_stripes"
    assert "lab_stripes" not in sys.modules
    describe(found)
    assert "lab_stripes" in sys.modules


def test_one_byte_of_its_files_gives_another_fingerprint(package: Callable[..., Path]) -> None:
    root = package()
    before = fingerprint(spec(root))
    (root / "stripes.bin").write_bytes(bytes(48 * 64))

    assert fingerprint(spec(root)) != before


def test_once_its_source_is_edited_its_images_are_read_again(
    package: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = package()
    before = load(spec(root)).train.images
    monkeypatch.delitem(sys.modules, "lab_stripes")
    edited = LAB.replace("noise // 4", "255 - noise // 4")
    (tmp_path / "site" / "lab_stripes.py").write_text(edited)
    source_code.refresh()
    _load.cache_clear()

    assert not torch.equal(load(spec(root)).train.images, before)


def test_a_record_names_no_module_that_an_entry_point_does_not(
    package: Callable[..., Path], tmp_path: Path
) -> None:
    root = package()
    (tmp_path / "site" / "evil.py").write_text("open('sentinel', 'w')")
    record = {**spec(root).to_dict(), "plugin": "evil"}

    with pytest.raises(DataError, match="was read by the module evil, but the entry point stripes"):
        describe(DataSpec.from_dict(record))
    assert "evil" not in sys.modules


def test_a_record_of_a_package_that_is_gone_is_read_and_says_what_is_missing() -> None:
    found = DataSpec.from_dict({"name": "gone", "plugin": "gone_lab"})

    with pytest.raises(DataError, match=r"'gone' is of a package that is not installed here"):
        describe(found)


def test_an_unknown_name_is_answered_with_those_of_packages_too(
    package: Callable[..., Path],
) -> None:
    package()

    with pytest.raises(UnknownNameError, match="did you mean 'stripes'"):
        DataSpec(name="strips")


@pytest.mark.parametrize(
    ("code", "entry", "message"),
    [
        ("raise RuntimeError('boom')", "Stripes", "cannot be loaded: RuntimeError: boom"),
        ("x = (", "Stripes", "cannot be loaded: SyntaxError"),
        (LAB, "Nothing", "cannot be loaded: AttributeError"),
        (LAB, "np", "without survey, files, read"),
        (
            LAB.replace("Survey(channels", "dict(channels"),
            "Stripes",
            "needed: a Survey of kind 'frames'",
        ),
        (
            LAB.replace("self.files(folder)\n", "1 / 0\n", 1),
            "Stripes",
            "fails in survey: ZeroDivision",
        ),
        (
            LAB.replace("num_test=8", "num_test=9"),
            "Stripes",
            r"test images \[8, 1, 8, 8\]; needed: \[9",
        ),
        (
            LAB.replace("% 2\n", "% 2.0\n"),
            "Stripes",
            "labels of float64 .40.; needed: uint8, and int64",
        ),
        (LAB.replace("(images[:40]", "(images[:40] / 2"), "Stripes", "train images of float64"),
        (LAB.replace("return Arrays", "return len"), "Stripes", "fails in read: TypeError"),
        (LAB.replace("return Arrays", "Arrays"), "Stripes", "read gives None; needed: Arrays"),
        (LAB.replace("return [folder", "return [] and [folder"), "Stripes", "files lists none"),
    ],
)
def test_a_broken_one_is_named_with_its_package_and_what_it_did(
    package: Callable[..., Path], code: str, entry: str, message: str
) -> None:
    root = package(code, entry=entry)

    with pytest.raises(DataError, match=rf"entry point stripes = .* of lab_stripes 1.0.*{message}"):
        load(spec(root))


def test_a_name_of_ours_stays_ours(package: Callable[..., Path]) -> None:
    package(LAB, name="digits")

    assert DataSpec(name="digits").plugin is None
    assert describe(DataSpec(name="digits")).num_train == 1294
