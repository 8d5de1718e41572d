"""Fronts as folders, from a search of two networks of which NIR can express one."""

import contextlib
import json
import shutil
import sqlite3

import pytest
import torch
from PIL import Image

from spikenas.data import DataSpec, load
from spikenas.exceptions import UsageError
from spikenas.export import load as load_export
from spikenas.store import Store

TWO_MEMBERS = """
[choices]
num_steps = [1, 8]
neuron = "if"
residual = "none"
stem = "conv"
patch_size = 2

[[stages]]
embed_dim = 16
depth = 1
mlp_ratio = 1
num_heads = 2

[stages.when.num_steps."1"]
mixer = "conv"

[stages.when.num_steps."8"]
mixer = "ssa"
"""


def test_front_members_that_a_format_can_express_are_written_beside_others(spikenas, tmp_path):
    pytest.importorskip("nir", reason="needs the extra nir")
    (tmp_path / "two.toml").write_text(TWO_MEMBERS)
    store = f"sqlite:///{tmp_path}/runs.db"
    searched = spikenas(
        *("search", "--space", tmp_path / "two.toml", "--data", "digits", "--workers", "inline"),
        *("--epochs", 1, "--trials", 2, "--store", store),
        *("--objectives", "parameters,energy_uj", "--name", "two"),
    )
    assert searched.code == 0, searched.err
    with Store.open(store) as opened:
        conv, ssa = sorted(opened.run("two").pareto_front(), key=lambda c: c.latency_steps)

    ended = spikenas(
        *("export", "two", "--front", "--to", tmp_path / "x", "--store", store),
        *("--format", "nir", "--nir-dt", "1e-4"),
    )

    assert ended.code == 7
    assert ended.out == f"{tmp_path / 'x' / conv.id}\n"
    assert (tmp_path / "x" / conv.id / "model.nir").is_file()
    assert [path.name for path in (tmp_path / "x").iterdir()] == [conv.id]
    assert f"not written: {ssa.id}: " in ended.err
    assert "similarity" in ended.err
    assert f"1 cannot be written as nir: {ssa.id}" in ended.err


def test_an_export_predicts_from_raw_pixels_what_the_search_measured(spikenas, tmp_path):
    store = f"sqlite:///{tmp_path}/runs.db"
    searched = spikenas(
        *("search", "--space", "toy", "--data", "digits", "--workers", "inline"),
        *("--epochs", 1, "--trials", 1, "--store", store, "--name", "digits"),
    )
    assert searched.code == 0, searched.err

    written = spikenas(
        *("export", "digits", "--to", tmp_path / "x", "--store", store),
        *("--format", "pt2", "--normalise-input"),
    )
    alone = spikenas(
        *("export", "digits", "--to", tmp_path / "y", "--store", store, "--normalise-input")
    )

    assert written.code == 0, written.err
    assert (alone.code, "add --format" in alone.err) == (2, True)
    network = load_export(tmp_path / "x")
    part = load(DataSpec(name="digits")).validation
    with Store.open(store) as opened:
        accuracy = opened.run("digits").best("accuracy").accuracy
    for images in (part.images, part.images / 255):
        found = network.predict(images)
        assert (found == part.labels).float().mean().item() == pytest.approx(accuracy, abs=1e-6)
    graph = torch.export.load(tmp_path / "x" / "model.pt2").module()
    assert torch.equal(graph(part.images / 255).argmax(1), network.predict(part.images))


def test_a_front_is_written_past_a_member_whose_weights_are_gone(spikenas, tmp_path):
    (tmp_path / "two.toml").write_text(TWO_MEMBERS)
    store = f"sqlite:///{tmp_path}/runs.db"
    searched = spikenas(
        *("search", "--space", tmp_path / "two.toml", "--data", "digits", "--workers", "inline"),
        *("--epochs", 1, "--trials", 2, "--store", store),
        *("--objectives", "parameters,energy_uj", "--name", "two"),
    )
    assert searched.code == 0, searched.err
    with Store.open(store) as opened:
        first, second = opened.run("two").pareto_front()
    first.weights_path.unlink()

    ended = spikenas("export", "two", "--front", "--to", tmp_path / "x", "--store", store)

    assert ended.code == 3
    assert ended.out == f"{tmp_path / 'x' / second.id}\n"
    assert f"1 of 2 members of the front written to {tmp_path / 'x'}" in ended.err
    assert f"1 without weights: {first.id}" in ended.err


def test_a_front_that_grew_is_written_beside_what_was_written_before(spikenas, tmp_path):
    (tmp_path / "two.toml").write_text(TWO_MEMBERS)
    store = f"sqlite:///{tmp_path}/runs.db"
    searched = spikenas(
        *("search", "--space", tmp_path / "two.toml", "--data", "digits", "--workers", "inline"),
        *("--epochs", 1, "--trials", 2, "--store", store),
        *("--objectives", "parameters,energy_uj", "--name", "two"),
    )
    assert searched.code == 0, searched.err
    with Store.open(store) as opened:
        first, second = opened.run("two").pareto_front()
    export = ("export", "two", "--store", store, "--to")
    assert spikenas(*export, tmp_path / "x" / first.id, "--candidate", first.id).code == 0

    grown = spikenas(*export, tmp_path / "x", "--front")
    wrong = spikenas(*export, tmp_path / "y", "--front", "--format", "none")

    assert (grown.code, grown.out) == (2, f"{tmp_path / 'x' / second.id}\n")
    assert f"1 not overwritten: {first.id}" in grown.err
    assert (wrong.code, "not written" in wrong.err) == (2, False)


def test_an_older_run_whose_data_are_gone_is_exported_without_preprocessing(
    spikenas, tmp_path, caplog
):
    store = f"sqlite:///{tmp_path}/runs.db"
    data = tmp_path / "pictures"
    for label, colour in (("a", (200, 0, 0)), ("b", (0, 0, 200))):
        (data / label).mkdir(parents=True)
        for i in range(20):
            Image.new("RGB", (8, 8), (*colour[:2], colour[2] + i)).save(data / label / f"{i}.png")
    searched = spikenas(
        *("search", "--space", "toy", "--data", "image_folder", "--data-root", data),
        *("--image-size", 8, "--workers", "inline", "--epochs", 1, "--trials", 1),
        *("--store", store, "--name", "pictures"),
    )
    assert searched.code == 0, searched.err
    forget_preprocessing(tmp_path / "runs.db")

    there = spikenas("export", "pictures", "--to", tmp_path / "x", "--store", store)
    shutil.rmtree(data)
    gone = spikenas("export", "pictures", "--to", tmp_path / "y", "--store", store)

    assert (there.code, gone.code) == (0, 0), gone.err
    assert load_export(tmp_path / "x").preprocessing.ground == "white"
    assert "without preprocessing, which run pictures did not record" in caplog.text
    with pytest.raises(UsageError, match="export it again from its run"):
        load_export(tmp_path / "y").predict(torch.zeros(1, 3, 8, 8))


def forget_preprocessing(database):
    """Make a run one of an earlier version, which recorded no preprocessing."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        ((name, settings),) = connection.execute("SELECT name, settings FROM runs").fetchall()
        kept = json.loads(settings)
        del kept["preprocessing"], kept["classes"]
        connection.execute("UPDATE runs SET settings = ? WHERE name = ?", (json.dumps(kept), name))
