import os
import subprocess
import sys
from pathlib import Path

import pytest
from packages import forge_settings

MIXER = """
from torch import Tensor
from spikenas.nn.layout import to_map, to_tokens
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.operations import BatchNorm, Conv
from spikenas.registry import Component, register

class LabMixer(Mixer):
    def __init__(self, *, embed_dim, grid, neuron):
        super().__init__()
        self.grid, self.bn = grid, BatchNorm(embed_dim)
        self.conv = Conv(embed_dim, embed_dim, KERNEL)

    def forward(self, x: Tensor) -> Tensor:
        return to_tokens(self.bn(self.conv(to_map(x, self.grid))))

register(Component(family="mixer", name="lab", target="lab_mixers:LabMixer", source="none"))
"""
SPACE = """
[space]
plugins = ["lab_mixers"]
[choices]
num_steps = 1
neuron = "lif"
residual = "membrane"
stem = "conv"
patch_size = 4
[[stages]]
embed_dim = [8, 16]
depth = 1
mixer = "lab"
mlp_ratio = 1.0
"""
SEARCH = [
    "search",
    "--space",
    "lab.toml",
    "--data",
    "digits",
    "--workers",
    "inline",
    "--trials",
    "1",
    "--epochs",
    "1",
    "--train-subset",
    "60",
    "--batch-size",
    "30",
    "-q",
    "--name",
]


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder with a space and its plugin beside it."""
    (tmp_path / "lab.toml").write_text(SPACE)
    edit(tmp_path, kernel=1)
    return tmp_path


def edit(lab: Path, kernel: int) -> None:
    (lab / "lab_mixers.py").write_text(f"KERNEL = {kernel}\n{MIXER}")


def spikenas(lab: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "spikenas", *arguments],
        cwd=lab,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_an_edited_plugin_is_another_component_and_every_command_knows_it(lab: Path) -> None:
    first = spikenas(lab, *SEARCH, "first", "--allow-plugins")
    same = spikenas(lab, *SEARCH, "same", "--allow-plugins")
    edit(lab, kernel=3)
    edited = spikenas(lab, *SEARCH, "edited", "--allow-plugins")
    exported = spikenas(lab, "export", "edited", "--to", "best", "--allow-plugins")
    shown = spikenas(lab, "show", "best", "--allow-plugins")
    refused = [spikenas(lab, *command.split()) for command in ("show best", "export edited --to b")]
    resumed = spikenas(lab, "resume", "first", "--allow-plugins")
    stale = spikenas(lab, "export", "first", "--to", "old", "--allow-plugins")
    edit(lab, kernel=5)
    loaded = subprocess.run(
        [sys.executable, "-c", "import spikenas; spikenas.load('best', allow_plugins=True)"],
        cwd=lab,
        capture_output=True,
        text=True,
        check=False,
    )

    assert [each.returncode for each in (first, same, edited, exported, shown)] == [0] * 5
    assert first.stdout.splitlines()[1:] == same.stdout.splitlines()[1:]
    assert first.stdout.splitlines()[-1].split()[:6] != edited.stdout.splitlines()[-1].split()[:6]
    for each in refused:
        assert each.returncode == 2
        assert "'lab_mixers'" in each.stderr
        assert "--allow-plugins" in each.stderr
    assert resumed.returncode == 2
    assert "lab_mixers" in resumed.stderr
    assert stale.returncode == 2
    for each in (stale, loaded):
        assert "lab_mixers changed since the network was trained" in each.stderr


@pytest.mark.parametrize("forged", [{}, {"plugins": [], "allow_plugins": True}])
def test_a_run_s_plugins_are_never_imported_because_the_database_names_them(
    lab: Path, forged: dict[str, object]
) -> None:
    assert spikenas(lab, *SEARCH, "mine", "--allow-plugins").returncode == 0
    forge_settings(lab / "spikenas.db", **forged)
    (lab / "lab_mixers.py").write_text("open('sentinel', 'w').close()\n")

    ended = [spikenas(lab, *command.split()) for command in ("resume mine", "export mine --to b")]

    assert [each.returncode for each in ended] == [2, 2]
    assert not (lab / "sentinel").exists()


@pytest.mark.parametrize(
    ("ending", "told"), [("(", "SyntaxError"), ("raise RuntimeError('boom')", "RuntimeError: boom")]
)
def test_what_a_plugin_does_when_it_is_imported_is_told_as_its_own(
    lab: Path, ending: str, told: str
) -> None:
    with (lab / "lab_mixers.py").open("a") as file:
        file.write(f"\n{ending}\n")

    ended = spikenas(lab, *SEARCH, "mine", "--allow-plugins")

    assert ended.returncode == 2
    assert f"'lab_mixers', which fails when it is imported: {told}" in ended.stderr
