"""A data set of an installed package, from the command line: by its name, and only then."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lab_data_set import install, write_stripes
from packages import forge_settings, write_package

pytestmark = pytest.mark.slow
SEARCH = (
    *("search", "--space", "toy", "--data", "stripes", "--data-root", "root", "--workers"),
    *("inline", "--trials", "1", "--epochs", "1", "--batch-size", "20", "-q", "--name"),
)
SPACE = """
[choices]
num_steps = 1
neuron = "lif"
residual = "membrane"
stem = "conv"
patch_size = 4
[[stages]]
embed_dim = 8
depth = 1
mixer = "conv"
mlp_ratio = 1.0
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A working folder, with the package's site and the data root in it."""
    for name in ("site", "root"):
        (tmp_path / name).mkdir()
    install(tmp_path / "site")
    write_stripes(tmp_path / "root")
    return tmp_path


def spikenas(lab: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "spikenas", *arguments],
        cwd=lab,
        env={
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join([str(lab / "site"), *filter(None, sys.path)]),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def edit(lab: Path) -> None:
    module = lab / "site" / "lab_stripes.py"
    module.write_text(module.read_text().replace("+= 128", "+= 100"))


def test_it_is_searched_resumed_with_consent_and_edited_it_is_another(lab: Path) -> None:
    searched = spikenas(lab, *SEARCH, "mine")
    exported = spikenas(lab, "export", "mine", "--to", "best")
    read = [spikenas(lab, *command.split()) for command in ("status mine", "runs", "show best")]
    refused = spikenas(lab, "resume", "mine")
    resumed = spikenas(lab, "resume", "mine", "--allow-plugins")
    edit(lab)
    stale = spikenas(lab, "resume", "mine", "--allow-plugins")
    loaded = spikenas(lab, "show", "best")

    assert (searched.returncode, exported.returncode, resumed.returncode) == (0, 0, 0)
    assert "imported lab_stripes" in searched.stdout
    for each in (*read, exported, loaded, refused):  # nothing of the store has it imported
        assert "imported lab_stripes" not in each.stdout
    assert [each.returncode for each in (*read, loaded)] == [0] * 4
    assert refused.returncode == stale.returncode == 2
    assert "'lab_stripes'" in refused.stderr
    assert "--allow-plugins" in refused.stderr
    assert "the code has changed: lab_stripes" in stale.stderr
    record = json.loads((lab / "best" / "provenance.json").read_text())
    assert record["data"]["plugin"] == "lab_stripes"
    assert record["code"]["lab_stripes"].startswith("sha256:")
    assert record["code"]["lab_stripes (distribution)"] == "version 1.0"


@pytest.mark.parametrize("forged", ["data", "energy_model"])
def test_a_forged_record_has_no_package_imported(lab: Path, forged: str) -> None:
    write_package(
        lab / "site", "print('imported energy')", module="lab_joules", group="energy_models", j="X"
    )
    data = {"name": "stripes", "root": "root"}  # without the module that reads them
    changes = {"data": data} if forged == "data" else {"energy_model": "j"}
    name = "stripes" if forged == "data" else "digits"
    assert spikenas(lab, *(name if a == "stripes" else a for a in SEARCH), "mine").returncode == 0
    forge_settings(lab / "spikenas.db", plugins=[], **changes)

    ended = spikenas(lab, "resume", "mine")

    assert ended.returncode == 2
    assert "--allow-plugins" in ended.stderr
    assert "imported" not in ended.stdout


def test_doctor_lists_it_without_its_code_and_looks_at_it_when_asked(lab: Path) -> None:
    listed = spikenas(lab, "doctor")
    asked = spikenas(lab, "doctor", "--data", "stripes", "--data-root", "root")

    assert listed.returncode == asked.returncode == 0
    assert "of lab_stripes 1.0" in listed.stdout
    assert "imported lab_stripes" not in listed.stdout
    assert "36 to train, 8 to test" in asked.stdout


def test_a_broken_one_is_named_and_breaks_no_other_command(lab: Path) -> None:
    (lab / "site" / "lab_stripes.py").write_text("raise RuntimeError('boom')")

    others = [spikenas(lab, "doctor"), spikenas(lab, "spaces")]
    asked = spikenas(lab, "doctor", "--data", "stripes")
    searched = spikenas(lab, *SEARCH, "mine")

    assert [each.returncode for each in others] == [0, 0]
    assert asked.returncode == searched.returncode == 2
    assert "RuntimeError: boom" in " ".join(asked.stdout.split())
    assert "lab_stripes 1.0 cannot be loaded: RuntimeError: boom" in searched.stderr
    assert not (lab / "spikenas.db").exists()


def test_the_name_of_a_space_has_no_package_imported(lab: Path) -> None:
    (lab / "stripes.toml").write_text(SPACE)

    ended = spikenas(lab, "search", "--space", "stripes.toml", "--workers", "inline")

    assert ended.returncode == 2
    assert "so data must be given" in ended.stderr
    assert "imported" not in ended.stdout


def test_one_that_takes_a_name_of_ours_is_told_by_doctor(lab: Path) -> None:
    write_package(lab / "site", "", module="thief", group="data_sets", digits="Stripes")

    ended = spikenas(lab, "doctor")

    assert ended.returncode == 0
    assert "is never read, as the name is taken" in " ".join(ended.stdout.split())
