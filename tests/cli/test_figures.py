"""Every figure of the table in every place that derives from it, on one search of two networks."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import spikenas as package
from spikenas.cli import main
from spikenas.evaluation import Evaluation, State
from spikenas.figures import FIGURES, OBJECTIVES, Figures
from spikenas.store import Candidate, Store
from spikenas.store.migrations import HEAD

pytestmark = pytest.mark.xdist_group("figures")  # one store, not one a process
SEARCH = (
    *("search", "--space", "toy", "--data", "digits", "--workers", "inline", "--quiet"),
    *("--trials", "2", "--epochs", "1", "--train-subset", "60"),
)
PAGE = Path(package.__file__).parents[1] / "docs" / "how-to" / "add-an-objective.md"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A store for all searches: the second and later ones are answered from the first."""
    return f"sqlite:///{tmp_path_factory.mktemp('figures')}/runs.db"


@pytest.fixture(scope="module", params=OBJECTIVES)
def searched(request, url):
    """Search with the figure as objective; a table, JSON and CSV need nothing else."""
    other = "energy_uj" if request.param == "accuracy" else "accuracy"
    objectives = ("--objectives", f"{request.param},{other}")
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*SEARCH, "--store", url, "--name", request.param, *objectives])
    return request.param


def test_any_figure_is_an_objective_a_filter_and_a_column(spikenas, url, searched):
    here = ("pareto", searched, "--store", url)

    [best, *others] = json.loads(spikenas(*here, "--json").out)["front"]
    where = f"{searched} = {best[searched]!r}"
    kept = json.loads(spikenas(*here, "--json", "--where", where).out)["front"]
    rows = list(csv.DictReader(StringIO(spikenas(*here, "--csv").out)))
    heading = spikenas(*here).out.splitlines()[1]

    loss = OBJECTIVES[searched].loss
    assert all(loss(best[searched]) <= loss(other[searched]) for other in others)
    assert best["id"] in [member["id"] for member in kept]
    assert {member[searched] for member in kept} == {best[searched]}
    assert float(rows[0][searched]) == best[searched]
    assert (OBJECTIVES[searched].heading or searched) in heading


@pytest.mark.parametrize("suffix", ["png", "html"])
def test_any_objective_is_an_axis_with_its_unit(spikenas, url, searched, tmp_path, suffix):
    path = tmp_path / f"front.{suffix}"

    ended = spikenas("pareto", searched, "--store", url, "--plot", path)

    assert ended.code == 0
    assert path.stat().st_size > 1000
    if suffix == "html":
        axis = json.dumps(OBJECTIVES[searched].axis)
        assert (
            axis in path.read_text() or axis.encode().decode("unicode_escape") in path.read_text()
        )


def test_the_best_in_any_objective_is_found(url, searched):
    with Store.open(url) as store:
        run = store.run(searched)
        best = run.best(searched)
        evaluation = run.evaluation(best)

    assert getattr(best, searched) == getattr(evaluation, searched)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_that_a_candidate_lacks_makes_a_filter_neither_true_nor_false(
    spikenas, stored, name
):
    ended = spikenas("pareto", "--store", stored, "--json", "--where", f"{name} >= 0")

    assert len(json.loads(ended.out)["front"]) == (0 if name == "test_accuracy" else 4)


@pytest.mark.parametrize("name", FIGURES)
def test_the_column_of_a_figure_is_of_its_type(name):
    [declared, _missing] = get_args(get_type_hints(Figures)[name])

    assert FIGURES[name].type is declared
    assert issubclass(Evaluation, Figures)
    assert issubclass(Candidate, Figures)


def test_status_shows_a_best_of_zero(spikenas, stored, tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"
    with Store.open(stored) as old, Store.open(url) as new:
        known = old.run().candidates(states=[State.COMPLETE])[0]
        nothing = replace(old.run().evaluation(known), accuracy=0.0, energy_uj=0.0)
        writer = new.begin_run(
            "zero", settings={}, space_toml="", seed=0, objectives=("accuracy", "energy_uj")
        )
        asked = {"state": State.QUEUED, "margins": {}, "reuse_key": "zero"}
        row = writer.add(0, known.architecture, {}, **asked)
        writer.record(row, state=State.COMPLETE, evaluation=nothing)
        writer.finish("finished")

    shown = spikenas("status", "--store", url).err
    document = json.loads(spikenas("status", "--store", url, "--json").out)

    assert "best accuracy 0.0 %, lowest energy 0 J" in shown
    assert document["best_accuracy"] == document["lowest_energy_uj"] == 0.0


@pytest.mark.slow
def test_a_new_figure_is_one_declaration_and_a_migration(tmp_path):
    source, copy = Path(package.__file__).parent, tmp_path / "spikenas"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for kind in ("search_spaces", "workers"):
        shutil.copytree(source.parent / kind, copy / "_shipped" / kind)
    declaration, migration = re.findall(r"```py\n(.*?)```", PAGE.read_text(), re.DOTALL)
    figures = (copy / "figures.py").read_text()
    (copy / "figures.py").write_text(figures.replace("\n\nFIGURES:", f"{declaration}\n\nFIGURES:"))
    migration = migration.replace('"0004"', '"9999"').replace('"0003"', f'"{HEAD}"')
    (copy / "store" / "migrations" / "versions" / "r9999_neurons.py").write_text(migration)

    def run(*arguments):
        command = [sys.executable, "-m", "spikenas", *arguments, "--store", "sqlite:///runs.db"]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        ).stdout

    table = run(*SEARCH, "--objectives", "accuracy,neurons")
    front = json.loads(run("pareto", "--json", "--where", "neurons > 0", "--plot", "front.png"))

    assert "neurons" in table
    assert all(member["neurons"] > 0 for member in front["front"])
    assert front["front"]
