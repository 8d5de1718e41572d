"""Names that are bytes of no encoding, as a shell hands them over, in every place for a name."""

import os
import shlex

import pytest

ODD = os.fsdecode(b"caf\xe9")
SEARCH = ("search", "--space", "toy", "--workers", "inline", "--trials", 1, "--epochs", 1)


@pytest.fixture
def stored_here(stored, tmp_path, monkeypatch):
    """Make a store with a run the default in an empty folder."""
    monkeypatch.setenv("SPIKENAS_STORE", stored)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("stored_here")
@pytest.mark.parametrize(
    ("code", "command"),
    [
        (2, f"{shlex.join(map(str, SEARCH))} --train-subset 50 --name {ODD}"),
        (2, f"{shlex.join(map(str, SEARCH))} --train-subset 50 --artifacts {ODD}"),
        (2, f"runs --store sqlite:///{ODD}.db"),
        (2, f"search --space {ODD}"),
        (2, f"search --space {ODD}.toml"),
        (2, f"search --space toy --chip {ODD}"),
        (2, f"search --space toy --workers {ODD}"),
        (2, f"search --space toy --data {ODD}"),
        (2, f"search --space toy --data mnist --data-root {ODD}"),
        (2, f"search --space toy --seed-with {ODD}"),
        (2, f"import spikformer:4-384-cifar10 {ODD}.pth --to x"),
        (2, f"pareto --objectives {ODD}"),
        (2, f"pareto --where \"neuron = '{ODD}'\""),
        (2, f"show {ODD}"),
        (2, f"doctor --data cifar10 --data-root {ODD}"),
        (3, f"resume {ODD}"),
        (3, f"status {ODD}"),
        (3, f"pareto {ODD}"),
        (3, f"verify {ODD}"),
        (3, f"export {ODD} --to x"),
        (3, f"show {ODD}/12345678"),
        (3, f"search --space toy --seed-with {ODD}/12345678"),
    ],
)
def test_a_name_that_is_not_utf_8_is_refused_in_a_sentence(spikenas, code, command):
    ended = spikenas(*shlex.split(command))

    assert ended.code == code, ended.err
    assert "internal error" not in ended.err


def test_an_export_to_a_folder_that_is_not_utf_8_can_be_used(spikenas, tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKENAS_STORE", f"sqlite:///{tmp_path}/runs.db")
    monkeypatch.chdir(tmp_path)
    assert spikenas(*SEARCH, "--train-subset", 50).code == 0

    for command in (
        ("export", "--to", ODD, "--format", "pt2"),
        ("show", ODD),
        ("show", f"{ODD}/architecture.json", "--json"),
        ("energy", ODD, "--plot", f"{ODD}.png"),
        ("check", ODD, "--chip", "loihi2"),
        ("pareto", "--plot", f"{ODD}.html"),
    ):
        ended = spikenas(*command)
        assert ended.code == 0, (command, ended.err)


@pytest.mark.parametrize("path", ["none.pdf", "folder.png", "/proc/none.png"])
def test_a_plot_that_cannot_be_written_is_an_error_that_names_it(spikenas, stored, tmp_path, path):
    (tmp_path / "folder.png").mkdir()

    ended = spikenas("pareto", "--store", stored, "--plot", tmp_path / path)

    assert ended.code == 2
    assert str(tmp_path / path) in ended.err
