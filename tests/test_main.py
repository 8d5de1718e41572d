import os
import subprocess
import sys

import pytest


def _spikenas(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "spikenas", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("module", ["torch", "typing", "random", "json", "sqlalchemy"])
def test_a_module_of_the_working_folder_is_not_taken_for_an_installed_one(tmp_path, module):
    (tmp_path / f"{module}.py").write_text("raise ImportError('of the working folder')")

    done = _spikenas(tmp_path, "runs")

    assert done.returncode == 4, done.stderr  # there is no database, which was found out
    assert "of the working folder" not in done.stderr


@pytest.mark.slow
def test_workers_do_not_take_modules_of_the_working_folder_for_installed_ones(tmp_path):
    for module in ("torch", "difflib", "tomllib", "random"):
        (tmp_path / f"{module}.py").write_text("raise ImportError('of the working folder')")

    done = _spikenas(
        tmp_path,
        *("search", "--space", "toy", "--trials", "1", "--epochs", "1", "--train-subset", "50"),
        *("--num-workers", "1"),
    )

    assert done.returncode == 0, done.stderr
