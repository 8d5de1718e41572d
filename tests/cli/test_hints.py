"""Commands that commands print can be typed as they stand."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from spikenas import shipped
from spikenas.cli.output import say_how_to_load

TINY = ("--space", "toy", "--workers", "inline", "--trials", 1, "--epochs", 1)
SMALL = (*TINY, "--train-subset", 50)


@pytest.mark.parametrize(
    "options",
    [
        ("--objectives", "accuracy"),
        ("--objectives", "spike_rate"),
        ("--name", 'it\'s "$(é)"', "--store", "sqlite:///a b;$HOME.db", "--artifacts", "w w"),
    ],
)
def test_what_a_search_says_next_can_be_typed(spikenas, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best").mkdir()  # of an earlier search

    searched = spikenas("search", *SMALL, *options)

    assert searched.code == 0, searched.err
    lines = searched.err.partition("next:\n")[2].splitlines()
    assert len(lines) == 3
    for line in lines:
        ended = spikenas(*shlex.split(line)[1:])
        assert ended.code == 0, (line, ended.err)


def test_the_next_commands_of_a_plugins_space_have_the_consent_they_need(
    spikenas, tmp_path, monkeypatch
):
    (tmp_path / "own_hints.py").write_text("")
    toml = shipped.read("search_spaces", "toy").replace(
        "[space]\n", '[space]\nplugins = ["own_hints"]\n', 1
    )
    (tmp_path / "toy.toml").write_text(toml)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    searched = spikenas(
        "search", *SMALL, "--space", "toy.toml", "--data", "digits", "--allow-plugins"
    )

    assert searched.code == 0, searched.err
    for line in searched.err.partition("next:\n")[2].splitlines():
        ended = spikenas(*shlex.split(line)[1:])
        assert ended.code == 0, (line, ended.err)
    assert "allow_plugins=True" in ended.err


@pytest.mark.parametrize("name", ["best", 'it\'s "$x" `é`', "caf\\udce9"])
def test_how_to_load_an_export_can_be_typed_whatever_its_folder(capsys, name):
    say_how_to_load(Path(name))

    *_, code = shlex.split(capsys.readouterr().err.partition("load it with: ")[2])
    argument = code.partition("spikenas.load(")[2].removesuffix(")")
    assert json.loads(argument) == name
