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


def test_published_architectures_have_name_and_parameters(spikenas):
    document = json.loads(spikenas("published", "--json").out)

    parameters = {each["name"]: each["parameters"] for each in document["architectures"]}
    assert parameters["spikformer-4-384-cifar10"] == 9_324_730
