import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from spikenas.data import DataSpec, content_sha256, fingerprint, load
from spikenas.data import content as contents
from spikenas.exceptions import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, red in (("dark", 10), ("light", 200)):
        for i in range(10):
            path = tmp_path / "set" / name / f"{i}.bmp"  # of one size whatever it shows
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (red, i, 0)).save(path)
    return tmp_path / "set"


def spec(root: Path) -> DataSpec:
    return DataSpec(name="image_folder", root=str(root), image_size=8)


def keep_times(path: Path, content: bytes) -> None:
    stat = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_one_byte_of_any_file_gives_another_fingerprint(root: Path) -> None:
    found = {fingerprint(spec(root))}
    files = sorted(root.rglob("*.bmp"))

    for path in files:
        content = path.read_bytes()
        keep_times(path, content[:-1] + bytes([content[-1] ^ 1]))
        found.add(fingerprint(spec(root)))

    assert len(found) == 1 + len(files)


def test_a_copy_that_was_touched_has_the_same_fingerprint_in_another_process(
    root: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(root, tmp_path / "copy")
    (copy / "dark" / "0.bmp").touch()
    program = (
        "from spikenas.data import DataSpec, fingerprint; "
        f"print(fingerprint(DataSpec(name='image_folder', root={str(copy)!r}, image_size=8)))"
    )

    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert told.stdout.strip() == fingerprint(spec(root))


def test_images_swapped_between_two_files_give_another_fingerprint(root: Path) -> None:
    before = fingerprint(spec(root))
    one, other = root / "dark" / "0.bmp", root / "light" / "0.bmp"
    first, second = one.read_bytes(), other.read_bytes()

    keep_times(one, second)
    keep_times(other, first)

    assert fingerprint(spec(root)) != before


def test_replaced_images_are_read_anew_by_the_same_process(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIKENAS_CACHE", str(tmp_path / "cache"))
    before = load(spec(root)).train.images
    for path in root.rglob("*.bmp"):
        keep_times(path, path.read_bytes()[:-1] + b"\x07")

    assert not torch.equal(load(spec(root)).train.images, before)


def test_a_digest_is_remembered_only_of_a_file_at_rest(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_digests", {})
    content_sha256(spec(root))
    fresh = len(contents._digests)
    monkeypatch.setattr(contents, "_RACY_NS", -1)
    content_sha256(spec(root))

    assert (fresh, len(contents._digests)) == (0, 20)


def test_other_content_than_expected_is_refused(root: Path) -> None:
    expected = content_sha256(spec(root))
    load(spec(root), expected)

    with pytest.raises(DataError, match=rf"is {expected}, not 00; put the files back"):
        load(spec(root), "00")
