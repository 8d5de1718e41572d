import csv
import json
from io import StringIO

import pytest
from jsonschema import validate

from spikenas.evaluation import State
from spikenas.store import Store


@pytest.mark.parametrize("command", ["runs", "status", "pareto"])
def test_a_document_obeys_its_schema_and_begins_with_its_version(spikenas, stored, schema, command):
    ended = spikenas(command, "--store", stored, "--json")

    document = json.loads(ended.out)
    validate(document, schema(command))
    assert next(iter(document.items())) == ("schema_version", 1)
    assert ended.code == 0


def test_status_counts_every_state(spikenas, stored):
    document = json.loads(spikenas("status", "--store", stored, "--json").out)

    assert sorted(document["counts"]) == sorted(state.value for state in State)
    assert document["counts"]["complete"] == 6
    assert document["counts"]["refused"] == 2
    assert document["best_accuracy"] == 0.93
    assert document["lowest_energy_uj"] == 1.0


def test_pareto_lists_the_front_best_accuracy_first(spikenas, stored):
    document = json.loads(spikenas("pareto", "first", "--store", stored, "--json").out)

    assert document["run"] == "first"
    assert document["objectives"] == ["accuracy", "energy_uj"]
    assert [member["energy_uj"] for member in document["front"]] == [8, 4, 2, 1]
    assert document["front"][0]["test_accuracy"] is None


def test_a_filter_and_a_limit_narrow_the_front(spikenas, stored):
    where = ("--where", "accuracy > 0.9 and energy_uj < 5")

    narrow = json.loads(spikenas("pareto", "--store", stored, "--json", *where).out)
    limited = json.loads(spikenas("pareto", "--store", stored, "--json", "--limit", 2).out)

    assert [member["energy_uj"] for member in narrow["front"]] == [4, 2]
    assert [member["energy_uj"] for member in limited["front"]] == [8, 1]


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_a_front_without_members_says_why(spikenas, stored, tmp_path, form):
    url = f"sqlite:///{tmp_path}/runs.db"
    with Store.open(url) as store:
        settings = {"settings": {}, "space_toml": "", "seed": 0, "objectives": ("accuracy",)}
        store.begin_run("begun", **settings).finish("interrupted")

    unmatched = spikenas("pareto", "--store", stored, "--where", "accuracy > 0.99", *form)
    begun = spikenas("pareto", "--store", url, *form)

    assert unmatched.code == begun.code == 0
    if form:
        assert unmatched.err == begun.err == ""
    else:
        assert unmatched.err.startswith("none of its 6 complete candidates matches")
        assert begun.err.startswith("no candidate is complete yet; see: spikenas status begun")


def test_other_objectives_give_another_front(spikenas, stored):
    ended = spikenas("pareto", "--store", stored, "--json", "--objectives", "energy_uj")

    assert [member["energy_uj"] for member in json.loads(ended.out)["front"]] == [1]


def test_the_csv_has_the_names_of_the_document(spikenas, stored):
    front = json.loads(spikenas("pareto", "--store", stored, "--json").out)["front"]

    rows = list(csv.DictReader(StringIO(spikenas("pareto", "--store", stored, "--csv").out)))

    assert list(rows[0]) == list(front[0])
    assert json.loads(rows[0]["architecture"]) == front[0]["architecture"]
    assert float(rows[0]["accuracy"]) == front[0]["accuracy"]


@pytest.mark.parametrize("name", ["front.png", "front.html"])
def test_a_plot_is_written_and_only_data_goes_to_stdout(spikenas, stored, tmp_path, name):
    ended = spikenas("pareto", "--store", stored, "--json", "--plot", tmp_path / name)

    assert (tmp_path / name).stat().st_size > 1000
    assert json.loads(ended.out)
    assert name in ended.err


def test_without_json_there_are_tables(spikenas, stored):
    for command, word in (("runs", "first"), ("status", "refused"), ("pareto", "93.0 %")):
        ended = spikenas(command, "--store", stored)

        assert word in ended.out
        assert ended.code == 0


def test_the_store_is_taken_from_the_environment(spikenas, stored, monkeypatch):
    monkeypatch.setenv("SPIKENAS_STORE", stored)

    assert "first" in spikenas("runs").out


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["pareto", "frist"], 3, "first"),
        (["status", "nothing"], 3, "nothing"),
        (["show", "first/00000000"], 3, "00000000"),
        (["show", "first/0"], 2, "8"),
        (["pareto", "--where", "accuracy >"], 2, "filter"),
        (["pareto", "--where", "password = 'x'"], 2, "password"),
        (["pareto", "--objectives", "acuracy"], 2, "accuracy"),
        (["pareto", "--plot", "front.gif"], 2, ".png or .html"),
        (["pareto", "--limit", "0"], 2, "--limit"),
        (["pareto", "--json", "--csv"], 2, "exclude each other"),
    ],
)
def test_what_is_not_there_or_not_right_is_said(spikenas, stored, arguments, code, complaint):
    ended = spikenas(*arguments, "--store", stored)

    assert ended.code == code
    assert complaint in ended.err
    assert ended.out == ""


def test_reading_a_store_that_is_not_there_makes_none(spikenas, tmp_path):
    ended = spikenas("runs", "--store", f"sqlite:///{tmp_path}/none.db")

    assert ended.code == 4
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_not_there_is_not_said_to_be_resumed(spikenas, stored):
    ended = spikenas("resume", "frist", "--store", stored)

    assert ended.code == 3
    assert "resuming" not in ended.err
