"""Every verdict of the vendors' tools in the shared folder, one test each."""

import json
import os
from pathlib import Path

import pytest

from spikenas.hardware import check_layers, chip, parse_layers

FOLDER = Path(os.environ.get("SPIKENAS_SHARED") or Path(__file__).parents[3] / "shared")
LIF = {"op": "lif"}
HIDDEN = [{"op": "linear", "out": 100}, LIF]
OUTPUT = [{"op": "linear", "out": 8}, LIF]
XYLO_IN_WORDS = {  # cases that the oracle only names
    "one layer": OUTPUT,
    "bias": [{"op": "linear", "out": 100, "bias": True}, LIF, *OUTPUT],
    "two weights in a row": [{"op": "linear", "out": 100}, *OUTPUT, *OUTPUT],
    "no output neuron": [*HIDDEN, {"op": "linear", "out": 8}],
    "residual": [
        *HIDDEN[:1],
        {"op": "lif", "id": "stream"},
        {"op": "linear", "out": 100},
        {"op": "lif", "id": "branch"},
        {"op": "merge", "in": ["stream", "branch"]},
        *OUTPUT,
    ],
}


def cases(kind):
    path = FOLDER / "oracles" / f"{kind}_cases.json"
    if not path.is_file():
        return [pytest.param(None, id="absent")]
    results = json.loads(path.read_text(encoding="utf-8"))["results"]
    return [
        pytest.param(result, id=f"{place}-{result.get('name') or result['case']['name']}")
        for place, result in enumerate(results)
    ]


def network(case):
    """Return a case without what the vendor's tool said to it."""
    return {key: case[key] for key in ("input", "input_hwc", "layers") if key in case}


@pytest.mark.oracle
@pytest.mark.parametrize("result", cases("speck"))
def test_speck_agrees_with_sinabs_and_the_published_ranges(shared, result):
    verdict = result["verdict"]

    found = check_layers(parse_layers(network(result["case"])), chip("speck2"))

    assert found.fits == (verdict["fits"] and result["trust"] != "blind_spot")
    for layer, expected in zip(found.placement.layers, verdict.get("memory", ()), strict=False):
        for key in ("kernel", "neuron", "bias", "cores_that_fit"):
            assert layer[key] == expected[key]
        assert sorted(layer["destinations"]) == sorted(expected["destinations"])
    if found.fits:
        cores = {str(place): layer["core"] for place, layer in enumerate(found.placement.layers)}
        assert cores == verdict["cores"]


@pytest.mark.oracle
@pytest.mark.parametrize("result", cases("akida"))
def test_akida_agrees_with_the_vendors_mapper(shared, result):
    found = check_layers(parse_layers(network(result)), chip("akida1"))

    assert found.fits == result["fits"]
    if found.fits:
        processors = iter([layer["processors"] for layer in found.placement.layers])
        per_layer = [
            0 if layer["op"] == "inputdata" else next(processors) for layer in result["layers"]
        ]
        assert per_layer == result["nps_per_layer"]


@pytest.mark.oracle
@pytest.mark.parametrize("result", cases("xylo"))
def test_xylo_agrees_with_the_vendors_mapper(shared, result):
    layers = XYLO_IN_WORDS.get(result["name"])
    record = {"input": [16], "layers": layers} if layers else {"name": result["name"]}

    found = check_layers(parse_layers(record), chip(result["device"]))

    assert found.fits == result["fits"]


@pytest.mark.oracle
def test_the_profiles_have_the_published_numbers(shared):
    published = json.loads((shared / "oracles" / "chip_limits.json").read_text())
    same = {
        "speck2": {
            "cores": "cores",
            "kernel_memory": "kernel_memory_per_core",
            "neuron_memory": "neuron_memory_per_core",
            "bias_memory": "bias_memory_per_core",
            "destinations": "max_destinations_per_core",
            "strides": "stride",
            "pooling": "pooling",
            "input_size": "max_input_hw",
            "output_size": "max_output_hw",
            "channels": "max_channels",
            "readout_classes": "readout_classes",
        },
        "loihi1": {
            "cores": "cores",
            "neurons_per_core": "neurons_per_core",
            "axons_per_core": "in_axons_per_core",
            "synapse_bits_per_core": "synapse_memory_per_core",
            "weight_bits": "weight_bits",
        },
        "loihi2": {
            "cores": "cores",
            "max_neurons": "neurons_per_chip",
            "max_synapses": "synapses_per_chip",
            "neurons_per_core": "neurons_per_core",
        },
        "truenorth": {
            "cores": "cores",
            "neurons_per_core": "neurons_per_core",
            "axons_per_core": "axons_per_core",
        },
        "spinnaker2": {"cores": "pes", "neurons_per_core": "neurons_per_pe"},
        **{
            name: {
                "inputs": "inputs",
                "hidden_neurons": "hidden",
                "output_neurons": "outputs",
                "fan_out": "max_fanout",
            }
            for name in ("xylo_audio2", "xylo_audio3", "xylo_imu")
        },
    }

    for name, limits in same.items():
        for ours, theirs in limits.items():
            limit, record = chip(name).limit(ours), published[name]["limits"][theirs]
            value = [*limit.value] if isinstance(limit.value, tuple) else limit.value
            assert (value, limit.grade) == (record["value"], record["grade"]), (name, ours)
