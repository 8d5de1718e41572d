"""The three jobs from the command line, on real digits with tiny networks."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest
from event_recordings import write_nmnist
from jsonschema import validate

import spikenas as package
from spikenas.cli import main
from spikenas.evaluation import State
from spikenas.store import Store

pytestmark = pytest.mark.xdist_group("searched")  # once, not in every process
TINY = ("--space", "toy", "--data", "digits", "--workers", "inline", "--epochs", "1")


EVENT_SPACE = """
[space]
description = "Two networks for recordings of 16x16 pixels."

[input]
channels = 2
height = 16
width = 16
kind = "events"
num_classes = 10

[choices]
num_steps = [2, 3]
neuron = "lif"
tau = 2.0
residual = "spike"
stem = "conv"
patch_size = 4

[[stages]]
embed_dim = 16
depth = 1
mixer = "ssa"
num_heads = 2
mlp_ratio = 1
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('search')}/runs.db"


@pytest.fixture(scope="module")
def searched(store):
    """Search once for all tests; what was printed."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["search", *TINY, "--trials", "4", "--store", store, "--name", "tiny"])
    assert ended.value.code == 0, err.getvalue()
    return out.getvalue(), err.getvalue()


def test_a_search_first_says_what_it_does_and_where(searched, store):
    _, err = searched

    first = err.splitlines()[0]

    assert "toy" in first
    assert "digits" in first
    assert store in first


def test_a_search_without_a_terminal_has_a_line_for_each_finished_candidate(searched):
    _, err = searched

    assert "first candidate after" in err
    for number in range(1, 5):
        assert f"{number}/4: {number} done" in err


def test_a_search_ends_with_the_front_and_what_to_type_next(searched):
    out, err = searched

    assert "Pareto front" in out.splitlines()[0]
    assert "spikenas" not in out
    next_lines = err.partition("next:\n")[2].splitlines()
    assert [line.split()[1] for line in next_lines] == ["pareto", "energy", "export"]


@pytest.mark.usefixtures("searched")
def test_the_next_commands_can_be_typed_as_they_stand(spikenas, searched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    for line in searched[1].partition("next:\n")[2].splitlines():
        assert spikenas(*line.split()[1:]).code == 0


@pytest.mark.usefixtures("searched")
def test_search_json_ends_with_one_document(spikenas, schema, store):
    ended = spikenas("search", *TINY, "--trials", 1, "--store", store, "--json", "--quiet")

    document = json.loads(ended.out)
    validate(document, schema("search"))
    assert re.fullmatch(r"digits-\d{8}-\d{4}(-\d+)?", document["run"])  # data set and time
    assert document["counts"]["complete"] == 1
    assert ended.err == ""


@pytest.mark.usefixtures("searched")
def test_a_name_that_is_taken_is_refused_and_the_run_kept(spikenas, store):
    ended = spikenas("search", *TINY, "--store", store, "--name", "tiny")

    assert ended.code == 2
    assert "it is finished; give another --name" in ended.err
    counts = json.loads(spikenas("status", "tiny", "--store", store, "--json").out)["counts"]
    assert counts["complete"] == 4


@pytest.mark.usefixtures("searched")
def test_a_finished_run_can_be_resumed_without_doing_more(spikenas, schema, store):
    ended = spikenas("resume", "tiny", "--store", store, "--json")

    document = json.loads(ended.out)
    validate(document, schema("resume"))
    assert document["counts"]["complete"] == 4


@pytest.mark.usefixtures("searched")
def test_a_finished_run_is_said_to_be_finished_and_its_front_shown(spikenas, store):
    ended = spikenas("resume", "tiny", "--store", store)

    _, already, summary, *_ = ended.err.splitlines()
    assert already == "the search is finished already"
    assert summary.startswith("4/4: 4 done")
    assert summary.endswith("| 0:00 left")
    assert "first candidate" not in ended.err
    assert ended.out.startswith("tiny: Pareto front")


@pytest.mark.usefixtures("searched")
def test_a_search_begins_with_its_seeds_of_any_kind(spikenas, store, tmp_path, caplog):
    spikenas("export", "tiny", "--to", tmp_path / "best", "--store", store)
    shown = spikenas("show", "spikformer-4-384-cifar10", "--json").out
    (tmp_path / "a.json").write_text(json.dumps(json.loads(shown)["architecture"]))
    front = json.loads(spikenas("pareto", "tiny", "--store", store, "--json").out)["front"]
    seeds = ("stmixer-8-512-imagenet", tmp_path / "a.json", f"tiny/{front[-1]['id']}")
    given = [word for seed in (*seeds, tmp_path / "best") for word in ("--seed-with", seed)]

    ended = spikenas(
        *("search", *TINY, *given, "--trials", 2, "--store", store, "--name", "seeded", "--quiet")
    )

    assert ended.code == 0, ended.err
    assert "seed stmixer-8-512-imagenet is not in space 'toy'" in caplog.text
    assert "stages[0].embed_dim 512 -> 32" in caplog.text
    assert f"seed tiny/{front[-1]['id']} is not" not in caplog.text
    with Store.open(store) as opened:
        first = opened.run("seeded").candidates()[0].architecture
    assert first.residual == "membrane"


@pytest.mark.parametrize("choice", [[], ["--best", "energy_uj"], ["--best", "accuracy"]])
@pytest.mark.usefixtures("searched")
def test_the_best_is_exported_as_a_network_that_runs(spikenas, store, tmp_path, choice):
    ended = spikenas("export", "tiny", *choice, "--to", tmp_path / "best", "--store", store)

    assert ended.out == f"{tmp_path / 'best'}\n"
    network = package.load(tmp_path / "best")
    size = network.architecture.input
    with Store.open(store) as opened:
        best = opened.run("tiny").best(choice[1] if choice else "accuracy")
    assert network.architecture == best.architecture
    assert (size.channels, size.height, size.width) == (1, 8, 8)


@pytest.mark.usefixtures("searched")
def test_every_member_of_the_front_is_exported_into_its_own_folder(spikenas, store, tmp_path):
    ended = spikenas("export", "tiny", "--front", "--to", tmp_path, "--store", store)

    with Store.open(store) as opened:
        members = [member.id for member in opened.run("tiny").pareto_front()]
    assert ended.out.splitlines() == [str(tmp_path / member) for member in members]


@pytest.mark.usefixtures("searched")
def test_a_format_lies_beside_the_weights(spikenas, store, tmp_path):
    spikenas(
        *("export", "tiny", "--to", tmp_path / "best", "--store", store),
        *("--format", "safetensors,pt2"),
    )

    record = json.loads((tmp_path / "best" / "provenance.json").read_text())
    assert "model.pt2" in record["files"]
    assert package.load(tmp_path / "best")


@pytest.mark.usefixtures("searched")
def test_an_unknown_format_is_refused_with_its_nearest_name(spikenas, store, tmp_path):
    ended = spikenas(
        *("export", "tiny", "--to", tmp_path / "x", "--store", store, "--format", "onxn")
    )

    assert ended.code == 2
    assert "did you mean 'onnx'" in ended.err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("searched")
def test_an_export_is_an_architecture_with_measured_rates(spikenas, store, tmp_path):
    spikenas("export", "tiny", "--to", tmp_path / "best", "--store", store)
    best = json.loads(spikenas("pareto", "tiny", "--store", store, "--json").out)["front"][0]

    energy = json.loads(spikenas("energy", tmp_path / "best", "--json").out)
    check = spikenas("check", tmp_path / "best", "--chip", "all", "--json")

    assert energy["rates"] == "measured"
    assert energy["energy_uj"] == pytest.approx(best["energy_uj"])
    assert json.loads(check.out)["key"] == best["key"]


@pytest.mark.usefixtures("searched")
def test_a_flipped_byte_in_an_export_is_found(spikenas, store, tmp_path):
    spikenas("export", "tiny", "--to", tmp_path / "best", "--store", store)
    weights = tmp_path / "best" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)

    ended = spikenas("show", tmp_path / "best")

    assert ended.code == 5
    assert "model.safetensors" in ended.err


@pytest.mark.usefixtures("searched")
def test_an_export_tells_nothing_of_this_machine(spikenas, store, tmp_path):
    spikenas("export", "tiny", "--to", tmp_path / "best", "--store", store)

    told = "".join(path.read_text() for path in (tmp_path / "best").glob("*.json"))

    assert str(tmp_path) not in told
    assert "sqlite" not in told
    assert os.uname().nodename not in told


@pytest.mark.usefixtures("searched")
def test_weights_that_were_not_kept_are_missed_clearly(spikenas, store, tmp_path):
    with Store.open(store) as opened:
        run = opened.run("tiny")
        kept = {member.row for member in run.pareto_front()}
        others = [c for c in run.candidates(states=[State.COMPLETE]) if c.row not in kept]
    if not others:
        pytest.skip("every candidate of this search is on the front")

    ended = spikenas(
        *("export", "tiny", "--candidate", others[0].id, "--to", tmp_path / "x", "--store", store)
    )

    assert ended.code == 3
    assert "not kept" in ended.err


@pytest.mark.usefixtures("searched")
def test_a_folder_that_exists_is_kept(spikenas, store, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")

    ended = spikenas("export", "tiny", "--to", tmp_path, "--store", store)

    assert ended.code == 2
    assert "--overwrite" in ended.err
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.fixture
def on_events(tmp_path):
    """The options of a search on a small N-MNIST, of two networks with two T."""
    (tmp_path / "events.toml").write_text(EVENT_SPACE)
    write_nmnist(tmp_path / "data")
    return [
        *("--space", tmp_path / "events.toml", "--data", "nmnist", "--image-size", "16"),
        *("--data-root", tmp_path / "data", "--workers", "inline", "--epochs", "1"),
    ]


@pytest.mark.parametrize("binning", ["time", "count"])
def test_a_search_on_events_trains_each_network_on_frames_of_its_steps(
    spikenas, tmp_path, on_events, binning
):
    url = f"sqlite:///{tmp_path}/runs.db"

    ended = spikenas(
        *("search", *on_events, "--binning", binning, "--trials", "2", "--store", url),
        *("--name", "events"),
    )

    assert ended.code == 0, ended.err
    with Store.open(url) as opened:
        run = opened.run("events")
        found = run.candidates(states=[State.COMPLETE])
        assert run.settings.data.binning == binning
    assert sorted(each.architecture.num_steps for each in found) == [2, 3]
    assert {each.architecture.input.kind for each in found} == {"events"}
    again = spikenas("search", *on_events, "--binning", binning, "--trials", "2", "--store", url)
    assert "answered from run events" in again.err


def test_another_binning_is_another_training(spikenas, tmp_path, on_events):
    url = f"sqlite:///{tmp_path}/runs.db"

    for binning in ("time", "count"):
        ended = spikenas(
            *("search", *on_events, "--binning", binning, "--trials", "1", "--store", url)
        )

    assert "answered from" not in ended.err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--binning", "number"], "count, time"),
        (["--recipe", "spikformer-cifar10"], "snn_augment_wide"),
        (["--image-size", "64"], "34x34"),
    ],
)
def test_what_does_not_suit_events_is_said_before_the_search(
    spikenas, tmp_path, on_events, options, complaint
):
    ended = spikenas("search", *on_events, *options, "--store", f"sqlite:///{tmp_path}/runs.db")

    assert ended.code == 2
    assert complaint in ended.err
    assert not (tmp_path / "runs.db").exists()


@pytest.fixture
def empty_store(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKENAS_STORE", f"sqlite:///{tmp_path}/runs.db")
    return tmp_path / "runs.db"


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (["--space", "toi"], 2, "toy"),
        (["--space", "toy", "--data", "digit"], 2, "digits"),
        (["--space", "toy", "--seed-with", "stas-4-384-cifar10"], 2, "halting = 'act'"),
        (["--space", "toy", "--seed-with", "spikformer-4-100-cifar10"], 2, "num_heads"),
        (["--space", "toy", "--chip", "async"], 2, "async_generic"),
        (["--space", "toy", "--workers", "lokal"], 2, "local"),
        (["--space", "toy", "--num-workers", "0"], 2, "num_workers"),
        (["--space", "toy", "--objectives", "acuracy"], 2, "accuracy"),
        (["--space", "toy", "--sampler", "tpee"], 2, "tpe"),
        (["--space", "toy", "--recipe", "spikformer"], 2, "spikformer-cifar10"),
        (["--space", "toy", "--energy-model", "cmos"], 2, "cmos45"),
        (["--space", "toy", "--time-budget", "soon"], 2, "10m"),
        (["--space", "toy", "--trials", "0"], 2, "--trials"),
        (["--space", "toy", "--seed", str(2**63)], 2, "2^63 - 1"),
        (["--space", "toy", "--data", "mnist", "--data-root", "absent"], 2, "absent"),
        (["--space", "toy", "--max-parameters", "10"], 7, "parameters"),
        (["--space", "cifar10"], 2, "CIFAR10"),
        (["--space", "toy", "--binning", "count"], 2, "--binning) is for event data"),
        (["--space", "toy", "--recipe", "qkformer-dvs128"], 2, "snn_augment_wide"),
        (["--trials", "3"], 2, "--space"),
    ],
)
def test_what_cannot_be_searched_is_said_and_leaves_no_run(
    spikenas, empty_store, options, code, complaint
):
    ended = spikenas("search", *options)

    assert ended.code == code
    assert complaint in ended.err
    assert "searching" not in ended.err
    assert "starting Ray" not in ended.err
    has_run = empty_store.exists() and json.loads(spikenas("runs", "--json").out)["runs"]
    assert not has_run


def test_a_cluster_is_joined_and_not_started(spikenas, tmp_path):
    workers = tmp_path / "lab.toml"
    workers.write_text('kind = "ray"\naddress = "127.0.0.1:1"\n')

    ended = spikenas("search", "--space", "toy", "--workers", workers)

    assert ended.code == 2
    assert "joining the Ray cluster at 127.0.0.1:1 ..." in ended.err
    assert "starting Ray" not in ended.err


def test_a_budget_that_ends_without_success_ends_with_6(spikenas, tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"

    ended = spikenas("search", *TINY, "--time-budget", "0.001s", "--store", url)

    assert ended.code == 6


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_state_and_says_how_to_go_on(spikenas, tmp_path, number, code):
    url = f"sqlite:///{tmp_path}/runs.db"
    command = ["search", *TINY, "--trials", "1000", "--store", url, "--name", "long"]
    said = []
    with subprocess.Popen(
        [sys.executable, "-m", "spikenas", *command], stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr:
            said.append(line)
            if line.startswith("1/1000"):
                process.send_signal(number)

    assert process.returncode == code
    go_on = f"spikenas resume long --store {url}"
    assert said[-1] == f"stopped; the state is saved. resume with: {go_on}\n"
    status = json.loads(spikenas("status", "long", "--store", url, "--json").out)
    assert status["status"] == "interrupted"
    assert status["counts"]["running"] == 0
    assert status["counts"]["complete"] >= 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--fix", "num_steps"), "--fix 'num_steps'; needed: CHOICE=VALUE"),
        (("--only", "neuron="), "--only 'neuron='; needed: CHOICE=A,B"),
        (("--fix", "num_steps=1", "--only", "num_steps=1,2"), "each choice once"),
        (("--fix", "num_steps=99"), "num_steps = '99' is not in the space; it has: 1, 2"),
        (("--only", "neurons=lif"), "'neurons' is not a choice; did you mean 'neuron'"),
    ],
)
def test_a_restriction_that_cannot_be_is_refused(spikenas, tmp_path, options, complaint):
    ended = spikenas("search", "--space", "toy", *options, "--store", f"sqlite:///{tmp_path}/a.db")

    assert ended.code == 2
    assert complaint in ended.err
    assert not (tmp_path / "a.db").exists()
