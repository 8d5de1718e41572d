import csv
import itertools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

_CHOICES = ("a", "b", "c")


@dataclass(frozen=True)
class Done:
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(table: Path, *options: str, code: int = 0) -> Done:
        command = ["search", "--table", str(table), "--choices", ",".join(_CHOICES)]
        command += ["--maximize", "score", "--minimize", "cost", "--budget", "30", *options]
        monkeypatch.setattr(sys, "argv", command)
        ended = 0
        try:
            import_module("search").main()
        except SystemExit as error:
            ended = error.code
        done = Done(*capsys.readouterr())
        assert ended == code, done.stderr
        return done

    return run


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A cell of three nodes: edges 01, 02, 12, each 0 (none) to 3; the path through 1 is better."""
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*_CHOICES, "early", "score", "cost"])
        for a, b, c in itertools.product(range(4), repeat=3):
            through = a * c if a and c else 0
            score = 50 + 4 * through + 2 * b if through or b else 10
            writer.writerow([a, b, c, score / 2, score, 1 + a * a + b + c * c])
    return path


def test_every_sampler_is_counted(table: Path, run: Run) -> None:
    done = run(table, "--sampler", "spikenas,random,nsga3", "--seeds", "2", "--json")

    samplers = json.loads(done.stdout)["samplers"]
    assert [*samplers] == ["spikenas", "random", "nsga3"]
    for found in samplers.values():
        assert {"to_80", "to_90", "to_95", "median", "hv_at", "seconds_per_proposal"} <= {*found}
        assert len(found["to_90"]) == 2


def test_ours_never_evaluates_what_it_has_evaluated(table: Path, run: Run) -> None:
    cell = ("--cell", "01,02,12", "--none", "0")

    done = run(table, *cell, "--floor", "score=20", "--seeds", "1", "--pending", "3", "--json")

    found = json.loads(done.stdout)["samplers"]["spikenas"]
    assert found["distinct"] == 30
    assert found["median"]["95"] is not None


def test_an_objective_that_is_known_and_rungs_are_used(table: Path, run: Run) -> None:
    known = run(table, "--known", "cost", "--seeds", "1", "--json")
    rungs = run(table, "--rungs", "early@1,score@4", "--seeds", "1", "--json")

    for done in (known, rungs):
        found = json.loads(done.stdout)["samplers"]["spikenas"]
        assert found["median"]["80"] is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rungs", "early@5,score@4"], "the epochs must rise"),
        (["--rungs", "score@4,early@5"], "no objective that is maximised"),
        (["--rungs", "early@x,score@5"], "needed: COLUMN@EPOCHS"),
        (["--minimize", "cots"], "did you mean 'cost'"),
        (["--sampler", "spikenass"], "did you mean 'spikenas'"),
        (["--floor", "score"], "needed: COLUMN=VALUE"),
        (["--floor", "score=1000"], "no row of the table reaches the floors"),
        (["--cell", "01,02"], "for each of the 3 choices its edge"),
        (["--cell", "01,20,12"], "for each of the 3 choices its edge"),
        (["--none", "none", "--cell", "01,02,12"], "--none none"),
        (["--known", "early"], "is no objective that is minimised; those are cost"),
        (["--known", "score"], "is no objective that is minimised; those are cost"),
        (["--maximize", "a"], "given twice"),
        (["--budget", "0"], "needed: a whole number from 1"),
        (["--budget", "many"], "needed: a whole number from 1"),
    ],
)
def test_what_cannot_be_is_refused_with_the_cure(
    table: Path, run: Run, options: list[str], said: str
) -> None:
    done = run(table, *options, code=2)

    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:-1], r"63 of the 64 combinations of its choices; missing: 3 3 3"),
        (lambda lines: [*lines, lines[-1]], "line 66: the choices 3, 3, 3 came before"),
        (lambda lines: [*lines[:-1], "3,3,3,,,"], "line 65: score = ''"),
        (lambda lines: lines[:1], "0 of the"),
        (lambda lines: [], "has no column 'a'"),
    ],
)
def test_a_damaged_table_is_refused(table: Path, run: Run, change, said: str) -> None:  # type: ignore[no-untyped-def]
    table.write_text("\n".join(change(table.read_text().splitlines())) + "\n")

    done = run(table, code=2)

    assert said in done.stderr


def test_a_table_that_is_not_there_is_named(tmp_path: Path, run: Run) -> None:
    assert "none.csv cannot be read" in run(tmp_path / "none.csv", code=2).stderr
