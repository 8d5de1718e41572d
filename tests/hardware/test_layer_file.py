import json

import pytest

from spikenas.exceptions import SpecError
from spikenas.hardware import parse_layers, read_layers
from spikenas.hardware.layers import LayerKind

CONV = {"op": "conv", "out": 4, "k": 3}


def complaint(record):
    with pytest.raises(SpecError) as raised:
        parse_layers(record, source="net.json")
    return str(raised.value)


def of(*layers, **more):
    return {"input": [2, 8, 8], "layers": [*layers], **more}


def pooled(**pool):
    return {"input_hwc": [8, 8, 2], "layers": [{**CONV, **pool}]}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ([], "net.json: needed: one object {name, input, layers}; have []"),
        ({}, "layers is missing; needed: a list of at least one layer; or give name alone"),
        ({"input": [2, 8, 8], "layer": [CONV]}, "layer is no key; did you mean 'layers'"),
        ({"inputs": [2, 8, 8], "layers": [CONV]}, "inputs is no key; did you mean 'input'"),
        ({"input": [2, 8, 8], "layers": CONV}, "layers = {'op': 'conv', 'out': 4, 'k': 3}; needed"),
        ({"name": "16-8", "input": [5]}, "layers is missing"),
        (of(CONV, name=5), "name = 5; needed: text in quotes"),
        (of(CONV, input_hwc=[8, 8, 2]), "input and input_hwc are both given; keep input_hwc for"),
        ({"layers": [CONV]}, "input is missing; needed: [C, H, W], or input_hwc"),
        (of(CONV, input=[2, 8]), "input = [2, 8]; needed: [C, H, W]"),
        (of(CONV, input=[2, 0, 8]), "input = [2, 0, 8]; needed: whole numbers from 1"),
        (of(CONV, input=[2.5, 8, 8]), "input = [2.5, 8, 8]; needed: whole numbers from 1"),
        (of(7), "layers[0] = 7; needed: an object with op"),
        (of({"op": "convv", "out": 4, "k": 3}), "op = 'convv' is unknown; did you mean 'conv'"),
        (of({"out": 4}), "layers[0]: op is missing; known: conv, "),
        (of({"op": "conv", "k": 3}), "layers[0] (conv): out is missing; needed: a whole number"),
        (of({**CONV, "out": -4}), "out = -4; needed: a whole number from 1"),
        (of({**CONV, "out": float("nan")}), "out = nan; needed: a whole number from 1"),
        (of({**CONV, "k": [3, 3, 3]}), "k = [3, 3, 3]; needed: a whole number from 1, or two"),
        (of({**CONV, "kernel": 3}), "kernel is no key"),
        (of({**CONV, "bias": 1}), "bias = 1; needed: true or false"),
        (of({**CONV, "groups": 3}), "groups = 3 does not divide 2 and 4 channels"),
        (of({**CONV, "k": 9}), "a window of 9x9 on 2x8x8 leaves nothing; take a smaller k"),
        (of({"op": "linear", "out": 4}), 'linear on a map of 2x8x8; put {"op": "flatten"} before'),
        (of({"op": "iaf", "id": "a"}, {"op": "iaf", "id": "a"}), "id 'a' is taken"),
        (of({"op": "iaf", "in": ["b"]}), "in names 'b', no earlier layer"),
        (of(CONV, {"op": "iaf", "in": ["0.conv", "input"]}), "iaf has 2 inputs; put a merge"),
        (
            of({**CONV, "id": "a"}, {"op": "iaf", "id": "b", "in": "input"},
               {"op": "merge", "in": ["a", "b"]}),
            "merge adds 2x8x8 and 4x6x6; needed: equal shapes",
        ),
        (of(CONV, {"op": "lif", "out": 5}), "out = 5, but the layer before gives 4 channels"),
        ({"input_hwc": [8, 8, 2], "layers": [{"op": "iaf"}]}, "op = 'iaf' is unknown"),
        (
            {"input_hwc": [8, 8, 2], "layers": [{"op": "fc", "out": 4}, {"op": "inputdata"}]},
            "inputdata must be the first layer",
        ),
        (
            {"input_hwc": [8, 8, 2], "layers": [{**CONV, "pad": "full"}]},
            "pad = 'full' is unknown",
        ),
        (pooled(ptype="agv"), "ptype = 'agv' is unknown; did you mean 'avg'?; known: max, avg"),
        (pooled(ptype="mx", pool=2), "ptype = 'mx' is unknown; did you mean 'max'"),
        (pooled(ptype="max"), "layers[0] (conv): ptype without pool, the size of a max pool; give"),
        (pooled(pool_s=2), "pool_s without pool"),
        (pooled(ptype="avg", pool=2), "pool is not read with ptype = 'avg'"),
        (pooled(ptype="avg", pool_s=2), "pool_s is not read with ptype = 'avg'"),
        ({"layers": [{"op": "linear", "in": 4, "out": 4}, {"op": "linear", "in": 5, "out": 2}]},
         "in = 5, but the layer before gives 4 inputs; make them agree"),
    ],
)  # fmt: skip
def test_a_wrong_file_says_place_fault_and_cure(record, expected):
    assert expected in complaint(record)
    assert complaint(record).startswith("net.json")


def test_a_file_that_is_absent_is_not_called_json(tmp_path):
    with pytest.raises(SpecError, match=r"absent\.json: no such file$"):
        read_layers(tmp_path / "absent.json")


def test_a_file_that_is_no_json_is_refused(tmp_path):
    path = tmp_path / "net.json"
    path.write_text("{")

    with pytest.raises(SpecError, match="cannot be read as JSON"):
        read_layers(path)


def test_a_file_is_read_as_its_object_is(tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(of(CONV, {"op": "iaf"}, name="mine")))

    assert read_layers(path) == parse_layers(of(CONV, {"op": "iaf"}))


def test_strides_kernels_and_paddings_may_differ_by_axis():
    graph = parse_layers(of({**CONV, "k": [3, 1], "s": [1, 2], "p": [1, 0]}))

    [layer] = graph.layers
    assert (layer.kernel, layer.stride, layer.padding) == ((3, 1), (1, 2), (1, 0))
    assert layer.output_shape == (4, 8, 4)


def test_an_average_over_the_whole_map_stands_between_weights_and_activation():
    layers = [{"op": "inputdata"}, {**CONV, "ptype": "avg"}, {"op": "fc", "out": 2}]

    graph = parse_layers({"input_hwc": [8, 6, 2], "layers": layers})

    assert [layer.kind for layer in graph.layers[:3]] == [
        LayerKind.CONV,
        LayerKind.GLOBAL_POOL,
        LayerKind.NEURON,
    ]
    assert graph.layers[0].input_shape == (2, 8, 6)
    assert graph.layers[3].input_shape == (4, 1, 1)


def test_a_name_alone_is_a_chain_of_linear_layers():
    graph = parse_layers({"name": "16-100-8"})

    assert [layer.output_shape[0] for layer in graph.weighted] == [100, 8]
    assert graph.input_shape == (16, 1, 1)
