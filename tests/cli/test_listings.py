import json

import pytest
from jsonschema import validate


@pytest.mark.parametrize("command", ["spaces", "chips", "published"])
def test_a_list_obeys_its_schema(spikenas, schema, command):
    document = json.loads(spikenas(command, "--json").out)

    validate(document, schema(command))
    assert next(iter(document)) == "schema_version"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("spaces", "digits"),
        ("chips", "async_generic"),
        ("published", "spikformer-4-384-cifar10"),
    ],
)
def test_a_list_without_json_is_a_table(spikenas, command, name):
    ended = spikenas(command)

    assert name in ended.out
    assert ended.code == 0


def test_published_architectures_have_our_counts_and_the_figures_of_their_source(spikenas):
    document = json.loads(spikenas("published", "--json").out)

    found = {each["name"]: each for each in document["architectures"]}
    known = found["spikformer-8-512-imagenet"]
    assert known["parameters"] == 29_689_384
    assert known["macs"] == 34_283_966_464
    assert known["operations"] == 11.09e9
    assert known["accuracy"] == 0.7338
    assert known["energy_mj"] == 11.577
    assert known["architecture"]["num_classes"] == 1000
    assert found["spikformer-4-384-cifar10"]["operations"] is None


def test_the_published_table_has_a_line_for_each_and_says_that_others_can_be_named(spikenas):
    ended = spikenas("published")

    assert "spikformer-8-512-imagenet" in ended.out
    assert "11.1G  73.38 %  11.6 mJ  Zhou 2023, ImageNet table" in ended.out
    assert "<system>-<depth>-<width>-<dataset>" in ended.err
