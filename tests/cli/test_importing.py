"""An official checkpoint from the command line, and what is done with the folder."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import official_checkpoints
import pytest
import safetensors.torch
import torch

import spikenas as package

GENES = official_checkpoints.architecture("spikformer", "cifar", 32, num_steps=4)


@pytest.fixture
def weights():
    return official_checkpoints.checkpoint(
        official_checkpoints.network(GENES), "spikformer", "cifar"
    )


@pytest.fixture
def checkpoint(tmp_path, weights):
    path = tmp_path / "model.pth"
    torch.save({"state_dict": weights, "args": argparse.Namespace(lr=0.1)}, path)
    return path


@pytest.fixture
def imported(spikenas, checkpoint, tmp_path):
    ended = spikenas("import", "spikformer", checkpoint, "--num-heads", 4, "--to", tmp_path / "x")
    assert ended.code == 0, ended.err
    return tmp_path / "x"


def test_an_imported_checkpoint_is_an_export_that_loads(imported):
    network = package.load(imported)

    assert network.architecture == GENES
    x = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(network(x), official_checkpoints.network(GENES)(x))


def test_the_folder_says_where_it_comes_from_and_that_nothing_was_measured(imported, checkpoint):
    provenance = json.loads((imported / "provenance.json").read_text())
    metrics = json.loads((imported / "metrics.json").read_text())

    assert provenance["system"] == "spikformer"
    assert provenance["variant"] == "cifar"
    assert len(provenance["checkpoint_sha256"]) == 64
    assert metrics["measured"] is False
    assert str(checkpoint.parent) not in str(provenance)


@pytest.mark.parametrize(
    ("system", "num_classes", "known"),
    [
        ("spikformer", 10, ((0.4914, 0.4822, 0.4465), "airplane")),
        ("sdt", 100, ((0.5071, 0.4867, 0.4408), "apple")),
    ],
)
def test_an_import_knows_how_the_authors_prepared_their_images(
    spikenas, tmp_path, system, num_classes, known
):
    genes = official_checkpoints.architecture(system, "cifar", 32, num_steps=4)
    made = official_checkpoints.network(replace(genes, num_classes=num_classes))
    torch.save(official_checkpoints.checkpoint(made, system, "cifar"), tmp_path / "model.pth")

    ended = spikenas(
        *("import", system, tmp_path / "model.pth", "--num-heads", 4, "--to", tmp_path / "x"),
        *("--format", "pt2", "--normalise-input"),
    )

    assert ended.code == 0, ended.err
    assert f"released code for cifar{num_classes}" in ended.err
    network = package.load(tmp_path / "x")
    assert (network.preprocessing.mean, network.classes[0]) == known
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    graph = torch.export.load(tmp_path / "x" / "model.pt2").module()
    assert torch.equal(graph(images / 255).argmax(1), network.predict(images))


def test_an_import_says_where_nobody_knows_how_images_were_prepared(spikenas, checkpoint, tmp_path):
    asked = ("import", "spikformer", checkpoint, "--num-heads", 4, "--to", tmp_path / "x")

    refused = spikenas(*asked, "--format", "pt2", "--normalise-input")
    done = spikenas(*asked)

    assert (refused.code, done.code) == (2, 0)
    assert "which are unknown for this network" in refused.err
    assert "without preprocessing" in done.err
    assert "5 classes" in done.err
    assert package.load(tmp_path / "x").preprocessing is None


def test_an_import_writes_the_formats_of_an_export(spikenas, checkpoint, tmp_path):
    asked = ("import", "spikformer", checkpoint, "--num-heads", 4, "--to", tmp_path / "x")

    unknown = spikenas(*asked, "--format", "pt3")
    done = spikenas(*asked, "--format", "pt2")

    assert (unknown.code, done.code) == (2, 0)
    assert "did you mean 'pt2'" in unknown.err
    assert (tmp_path / "x" / "model.pt2").is_file()
    assert package.load(tmp_path / "x").architecture == GENES


def test_show_energy_and_check_take_the_folder(spikenas, imported):
    shown = json.loads(spikenas("show", imported, "--json").out)
    energy = json.loads(spikenas("energy", imported, "--spike-rate", 0.2, "--json").out)
    check = spikenas("check", imported, "--chip", "sync_generic")

    assert shown["key"] == GENES.key
    assert energy["rates"] == "assumed"
    assert check.code in (0, 7)
    assert GENES.id in check.out


def test_without_a_rate_the_energy_of_an_import_is_unknown(spikenas, imported):
    assert "was never trained" in spikenas("energy", imported).err


def test_the_folder_is_printed_and_how_to_load_it(spikenas, checkpoint, tmp_path, caplog):
    ended = spikenas("import", "spikformer", checkpoint, "--num-heads", 4, "--to", tmp_path / "y")

    assert ended.out == f"{tmp_path / 'y'}\n"
    assert "spikenas.load" in ended.err
    assert "never reads" in caplog.text  # on stderr, where nobody catches it


def test_safetensors_of_events_need_steps_and_size(spikenas, tmp_path):
    genes = official_checkpoints.architecture("spikformer", "dvs", 32)
    state = official_checkpoints.checkpoint(
        official_checkpoints.network(genes), "spikformer", "dvs"
    )
    safetensors.torch.save_file(state, tmp_path / "m.safetensors")
    asked = ("import", "spikformer", tmp_path / "m.safetensors", "--variant", "dvs")
    to = ("--num-heads", 4, "--to", tmp_path / "x")

    refused = spikenas(*asked, *to)
    done = spikenas(*asked, *to, "--num-steps", 2, "--image-size", 32)

    assert refused.code == 2
    assert "--num-steps" in refused.err
    assert done.code == 0
    assert package.load(tmp_path / "x").architecture == genes


def test_double_precision_is_exported_as_single(spikenas, weights, tmp_path):
    torch.save({n: t.double() for n, t in weights.items()}, tmp_path / "m.pth")

    ended = spikenas(
        *("import", "spikformer", tmp_path / "m.pth", "--num-heads", 4, "--to", tmp_path / "x")
    )

    assert ended.code == 0
    assert package.load(tmp_path / "x").head.classifier.bias.dtype == torch.float32


@pytest.mark.usefixtures("imported")
def test_a_folder_that_exists_is_replaced_only_when_told(spikenas, checkpoint, tmp_path):
    again = ("import", "spikformer", checkpoint, "--num-heads", 4, "--to", tmp_path / "x")

    assert spikenas(*again).code == 2
    assert spikenas(*again, "--overwrite").code == 0


class Payload:
    def __init__(self, sentinel):
        self.sentinel = sentinel

    def __reduce__(self):
        return Path.touch, (self.sentinel,)


def test_a_pickle_with_code_is_refused_and_nothing_is_left(spikenas, weights, tmp_path):
    torch.save({"state_dict": weights, "args": Payload(tmp_path / "ran")}, tmp_path / "m.pth")

    ended = spikenas("import", "spikformer", tmp_path / "m.pth", "--to", tmp_path / "x")

    assert ended.code == 2
    assert "safetensors" in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.pth"]


@pytest.mark.parametrize(
    ("system", "options", "complaint"),
    [
        ("spikfomer", [], "did you mean 'spikformer'"),
        ("qkformer", [], "no qkformer"),
        ("spikformer", [], "give num_heads, a divisor of width 32"),
        ("spikformer", ["--variant", "image"], "known: cifar, dvs, imagenet"),
        ("spikformer", ["--variant", "imagenet"], "variant 'cifar'"),
        ("spikformer", ["--num-heads", "0"], "num-heads"),
        ("spikformer", ["--num-heads", "4", "--num-steps", "99"], "num_steps = 99"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_needed(
    spikenas, checkpoint, system, options, complaint
):
    to = checkpoint.parent / "x"

    ended = spikenas("import", system, checkpoint, *options, "--to", to)

    assert ended.code == 2
    assert complaint in ended.err
    assert not to.exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda w: w | {"head.bias": torch.ones(99)}, "head.bias: is [99], needed ["),
        (lambda w: {n: t for n, t in w.items() if n != "head.bias"}, "head.bias: missing"),
        (lambda w: w | {"head.bias": w["head.bias"] * torch.nan}, "float32 with NaN or infinity"),
        (lambda w: w | {"head.bias": w["head.bias"].to(torch.int8)}, "head.bias: torch.int8"),
        (lambda w: w | {3: torch.ones(1)}, "a tensor is under 3"),
    ],
)
def test_what_is_wrong_with_tensors_is_told_with_file_need_and_cure(
    spikenas, weights, tmp_path, change, complaint
):
    torch.save(change(dict(weights)), tmp_path / "m.pth")

    ended = spikenas(
        *("import", "spikformer", tmp_path / "m.pth", "--num-heads", 4, "--to", tmp_path / "x")
    )

    assert ended.code == 2
    assert ended.err.startswith(f"error: {tmp_path / 'm.pth'}, as spikformer of variant 'cifar': ")
    assert complaint in ended.err
    assert "needed" in ended.err
    assert "Error" not in ended.err


def test_a_file_that_is_not_there_is_wrong_usage(spikenas, tmp_path):
    ended = spikenas("import", "sdt", tmp_path / "none.pth", "--to", tmp_path / "x")

    assert ended.code == 2
    assert "no such file" in ended.err
