from filecmp import cmp
from pathlib import Path

from golden_arrays import IN_REPOSITORY


def test_the_arrays_in_the_repository_are_small():
    assert 0 < sum(path.stat().st_size for path in IN_REPOSITORY.glob("*.npz")) <= 300_000


def test_the_arrays_in_the_repository_are_those_of_the_shared_folder(shared: Path) -> None:
    names = [path.name for path in IN_REPOSITORY.glob("*.npz")]

    changed = [n for n in names if not cmp(IN_REPOSITORY / n, shared / "golden" / n, shallow=False)]

    assert changed == []
