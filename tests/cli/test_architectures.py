import json

import pytest
from jsonschema import validate

PUBLISHED = "spikformer-4-384-cifar10"


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("show", []),
        ("show", ["--workload"]),
        ("check", ["--chip", "all"]),
    ],
)
def test_a_document_obeys_its_schema(spikenas, schema, command, options):
    ended = spikenas(command, PUBLISHED, *options, "--json")

    document = json.loads(ended.out)
    validate(document, schema(command))
    assert next(iter(document)) == "schema_version"
    assert ended.code == 0


def test_show_prints_genes_and_parameters(spikenas):
    ended = spikenas("show", PUBLISHED)

    assert "9.32M parameters" in ended.out
    assert "stages[0].embed_dim" in ended.out
    assert "384" in ended.out


def test_show_workload_prints_every_operation(spikenas):
    operations = json.loads(spikenas("show", PUBLISHED, "--workload", "--json").out)["workload"]

    ended = spikenas("show", PUBLISHED, "--workload")

    assert len(ended.out.splitlines()) >= len(operations["operations"])


def test_an_architecture_may_be_a_file(spikenas, tmp_path):
    genes = json.loads(spikenas("show", PUBLISHED, "--json").out)
    path = tmp_path / "architecture.json"
    path.write_text(json.dumps(genes["architecture"]))

    document = json.loads(spikenas("show", path, "--json").out)

    assert document["key"] == genes["key"]


def test_what_does_not_fit_the_chip_ends_with_7_and_says_where(spikenas):
    ended = spikenas("check", PUBLISHED, "--chip", "async_generic", "--json")

    document = json.loads(ended.out)
    assert ended.code == 7
    assert document["fits"] is False
    assert {"chip", "operation", "rule", "limit", "need", "cure"} <= set(document["violations"][0])
    assert document["violations"][0]["operation"] in ended.err


def test_all_chips_end_with_0_whatever_fits(spikenas):
    ended = spikenas("check", PUBLISHED, "--chip", "all")

    assert ended.code == 0
    assert "does not fit async_generic" in ended.out
    assert "sync_generic" in ended.out


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["show", "spikformer-4-384-cifar"], 2, "did you mean 'spikformer-4-384-cifar10'"),
        (["show", "nothing.json"], 2, "nothing.json"),
        (["check", PUBLISHED, "--chip", "async"], 2, "async_generic"),
        (["check", PUBLISHED], 2, "--chip"),
    ],
)
def test_wrong_usage_is_said(spikenas, arguments, code, complaint):
    ended = spikenas(*arguments)

    assert ended.code == code
    assert complaint in ended.err
    assert ended.out == ""


def test_a_folder_that_is_no_export_is_damaged(spikenas, tmp_path):
    assert spikenas("show", tmp_path).code == 5
