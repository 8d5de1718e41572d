import json
import sys

import numpy as np
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
    assert "async_generic" in ended.out
    assert "sync_generic" in ended.out


def test_all_chips_are_one_row_each_with_class_reason_and_placement(spikenas):
    rows = spikenas("check", PUBLISHED, "--chip", "all").out.splitlines()

    assert len(rows) >= 2 + 11
    assert any("speck2" in row and "clockless" in row for row in rows)
    assert any("truenorth" in row and "time step" in row for row in rows)
    assert "of 4096 cores" in "".join(rows)


@pytest.fixture
def layers(tmp_path):
    def write(*entries, **more):
        path = tmp_path / "net.json"
        path.write_text(json.dumps({"layers": [*entries], **more}))
        return path

    return write


CONV = {"op": "conv", "out": 8, "k": 3, "p": 1}


def test_layers_from_elsewhere_that_fit_end_with_0(spikenas, schema, layers):
    path = layers(CONV, {"op": "iaf"}, input=[2, 16, 16])

    ended = spikenas("check", "--layers", path, "--chip", "speck2", "--json")

    document = json.loads(ended.out)
    validate(document, schema("check"))
    assert ended.code == 0
    assert (document["fits"], document["violations"], document["id"]) == (True, [], None)
    assert document["chips"][0]["placement"]["layers"][0]["core"] == 0


def test_layers_from_elsewhere_that_do_not_fit_end_with_7_or_with_all_0(spikenas, layers):
    path = layers(CONV, {"op": "lif"}, input=[2, 16, 16])

    one = spikenas("check", "--layers", path, "--chip", "speck2", "--json")
    every = spikenas("check", "--layers", path, "--chip", "all", "--json")

    assert one.code == 7
    assert json.loads(one.out)["fits"] is False
    assert json.loads(one.out)["violations"][0]["operation"] == "1.lif"
    assert every.code == 0
    assert "async_generic" not in {each["chip"] for each in json.loads(every.out)["chips"]}


def test_layers_on_a_chip_without_placement_are_wrong_usage(spikenas, layers):
    path = layers(CONV, input=[2, 16, 16])

    ended = spikenas("check", "--layers", path, "--chip", "sync_generic")

    assert ended.code == 2
    assert "no placement for layers; take one of akida1" in ended.err


def test_a_placement_is_printed_under_the_verdict(spikenas, layers):
    path = layers({"op": "inputdata"}, {"op": "conv", "out": 16, "k": 3}, input_hwc=[16, 16, 8])

    ended = spikenas("check", "--layers", path, "--chip", "akida1")

    assert ended.code == 0
    assert "fits akida1" in ended.out
    assert "placement: 16 of 78 neural processors" in ended.out


@pytest.fixture
def nir_file(tmp_path):
    nir = pytest.importorskip("nir", reason="needs the extra nir")
    ones = np.ones((8, 16, 16), dtype=np.float32)
    nodes = [
        nir.Conv2d((16, 16), ones[:, :2, :3, None] * ones[0, 0, :3], 1, 1, 1, 1, ones[:, 0, 0]),
        nir.LIF(tau=2e-4 * ones, r=ones, v_leak=0 * ones, v_threshold=ones),
    ]
    nir.write(tmp_path / "net.nir", nir.NIRGraph.from_list(*nodes))
    return tmp_path / "net.nir"


def test_a_nir_file_is_checked_against_one_chip_or_all(spikenas, schema, nir_file):
    one = spikenas("check", nir_file, "--chip", "speck2", "--json")
    every = spikenas("check", nir_file, "--chip", "all", "--json")
    table = spikenas("check", nir_file, "--chip", "loihi1")

    document = json.loads(one.out)
    validate(document, schema("check"))
    assert (one.code, document["id"]) == (7, None)
    assert [(v["operation"], v["rule"]) for v in document["violations"]] == [("lif", "leak")]
    assert (every.code, len(json.loads(every.out)["chips"])) == (0, 11)
    assert table.code == 0
    assert "fits loihi1" in table.out


def test_a_folder_whose_name_ends_in_nir_is_an_export(spikenas, tmp_path):
    (tmp_path / "speck.nir").mkdir()

    assert spikenas("check", tmp_path / "speck.nir", "--chip", "speck2").code == 5


def test_a_nir_file_without_the_package_that_reads_it_says_which_extra(
    spikenas, nir_file, monkeypatch
):
    monkeypatch.setitem(sys.modules, "h5py", None)
    for name in ("nir_file", "nir_node"):
        monkeypatch.delitem(sys.modules, f"spikenas.hardware.{name}", raising=False)

    ended = spikenas("check", nir_file, "--chip", "speck2")

    assert ended.code == 2
    assert "pip install 'spikenas[nir]'" in ended.err


def test_chips_are_listed_by_class(spikenas):
    out = spikenas("chips").out

    clockless, time_step = out.split("with a time step")
    assert "speck2" in clockless
    assert "loihi1" in time_step


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["show", "spikformer-4-384-cifar"], 2, "did you mean 'spikformer-4-384-cifar10'"),
        (["show", "nothing.json"], 2, "nothing.json"),
        (["check", PUBLISHED, "--chip", "async"], 2, "async_generic"),
        (["check", PUBLISHED], 2, "--chip"),
        (["check", "--chip", "speck2"], 2, "--layers"),
        (["check", PUBLISHED, "--layers", "x.json", "--chip", "all"], 2, "either ARCH or --layers"),
        (["check", "--layers", "absent.json", "--chip", "speck2"], 2, "absent.json"),
        (["check", "absent.nir", "--chip", "speck2"], 2, "absent.nir: no such file"),
    ],
)
def test_wrong_usage_is_said(spikenas, arguments, code, complaint):
    ended = spikenas(*arguments)

    assert ended.code == code
    assert complaint in ended.err
    assert ended.out == ""


def test_a_folder_that_is_no_export_is_damaged(spikenas, tmp_path):
    assert spikenas("show", tmp_path).code == 5
