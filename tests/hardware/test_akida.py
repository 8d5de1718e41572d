from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikenas.exceptions import SpecError
from spikenas.hardware import ChipProfile, check_layers, chip, parse_layers
from spikenas.hardware.placement.akida_memory import (
    conv_bytes,
    dense_bytes,
    input_bytes,
    separable_bytes,
    tiles,
)
from spikenas.hardware.profile_names import PLACEMENTS

DATA = {"op": "inputdata"}


def conv(out, k=3, **more):
    return {"op": "conv", "out": out, "k": k, **more}


def verdict(*layers, size=(16, 16, 8)):
    record = {"input_hwc": [*size], "layers": [*layers]}
    return check_layers(parse_layers(record), chip("akida1"))


def rules(found):
    return {violation.rule for violation in found.violations}


def processors(found):
    return [layer["processors"] for layer in found.placement.layers]


def test_memory_is_what_the_mapper_reports():
    # read off the vendor's MemoryInfo of single layers
    assert conv_bytes(8, 40, 3, 4) == 1600
    assert conv_bytes(2, 384, 7, 4) == 25200
    assert conv_bytes(2, 392, 7, 4) is None
    assert separable_bytes(8, 9, 3, 2) == 150
    assert separable_bytes(16, 504, 3, 4) == 4300
    assert dense_bytes(1024, 10, 4) == 7840
    assert dense_bytes(64, 513, 4) == 32832
    assert input_bytes(16, 16, 8, 4) == 1024
    assert input_bytes(7, 8, 9, 2) == 160


def test_memory_is_known_for_every_value_that_a_profile_may_have():
    known = PLACEMENTS["akida"].known

    assert all(conv_bytes(8, 8, *each) for each in product(known["kernels"], known["weight_bits"]))
    separable = product(known["separable_kernels"], known["separable_weight_bits"])
    assert all(separable_bytes(8, 8, *each) for each in separable)
    assert all(dense_bytes(8, 8, bits) for bits in known["weight_bits"])


def test_a_map_is_cut_by_its_size_and_by_its_memory():
    def count(shape, memory=43008):
        return tiles(shape, kernel=3, step=1, bits=4, memory=memory, most=(32, 256), limit=78)

    assert count((8, 32, 256), memory=1e9) == 1
    assert count((8, 33, 8)) == 2
    assert count((84, 32, 32)) == 1
    assert count((85, 32, 32)) == 2
    assert count((200, 32, 32)) == 3
    assert count((300, 300, 300)) is None


def test_filters_are_spread_as_widely_as_processors_allow():
    one = verdict(DATA, conv(16), {"op": "fc", "out": 10})
    many = verdict(DATA, *[conv(64)] * 6, {"op": "fc", "out": 10})

    assert processors(one) == [16, 1]
    assert sum(processors(many)) <= 78


def test_the_unit_for_pixels_is_one_of_its_own():
    found = verdict({"op": "inputconv", "k": 3, "out": 16, "s": 3}, conv(16), size=(32, 32, 3))

    assert found.fits
    assert processors(found) == [1, 16]
    assert found.placement.layers[0]["form"] == "input_convolutional"


@pytest.mark.parametrize(
    ("layers", "size", "rule"),
    [
        ((DATA, conv(16, s=3)), (16, 16, 8), "strides"),
        ((DATA, conv(16, 5, s=2)), (16, 16, 8), "strided_kernel"),
        ((DATA, conv(16, 9)), (16, 16, 8), "kernels"),
        ((DATA, conv(16, pad="valid")), (16, 16, 8), "same_padding"),
        ((DATA, conv(16, wbits=8)), (16, 16, 8), "weight_bits"),
        ((DATA, conv(16, abits=8)), (16, 16, 8), "activation_bits"),
        ((DATA, conv(16, pool=2)), (16, 16, 8), "pooling_last"),
        ((DATA, conv(16, pool=2), {"op": "fc", "out": 2}), (16, 16, 8), "pooling_last"),
        ((DATA, conv(16, pool=3), conv(2)), (16, 16, 8), "pooling"),
        ((DATA, conv(16, pool=2, pool_s=1), conv(2)), (40, 40, 8), "pooling_tiles"),
        ((DATA, conv(16, s=2, pool=2), conv(2)), (40, 40, 8), "pooling_tiles"),
        ((DATA, conv(16, ptype="avg")), (40, 40, 8), "average_height"),
        ((DATA, conv(16, ptype="avg")), (16, 2, 8), "average_columns"),
        ((DATA, conv(16, ptype="avg")), (32, 32, 85), "input_memory"),
        ((DATA, conv(1024)), (16, 16, 1024), "weight_memory"),
        ((DATA, conv(17)), (16, 16, 1), "one_input_channel"),
        ((DATA, *[conv(256)] * 16), (8, 8, 256), "processors"),
        ((DATA, {"op": "fc", "out": 10}), (1, 1, 57335), "dense_inputs"),
        ((DATA, *[{"op": "fc", "out": 1000}] * 6), (1, 1, 64), "large_dense_processors"),
        ((DATA, *[{"op": "fc", "out": 64}] * 23), (1, 1, 64), "small_dense_processors"),
        ((DATA, conv(4, act=False), conv(4)), (16, 16, 8), "layer_order"),
        (({"op": "inputconv", "k": 5, "out": 65},), (32, 32, 3), "colour_filters"),
        (({"op": "inputconv", "k": 7, "out": 97},), (32, 32, 1), "grey_filters"),
        (({"op": "inputconv", "k": 3, "out": 8},), (32, 32, 2), "unsupported_operation"),
        (({"op": "inputconv", "k": 3, "out": 8},), (4, 32, 3), "input_side"),
        (({"op": "inputconv", "k": 3, "out": 8},), (32, 257, 3), "input_width"),
    ],
)
def test_each_rule_of_the_mapper_refuses_by_its_own_name(layers, size, rule):
    assert rules(verdict(*layers, size=size)) == {rule}


@pytest.mark.parametrize(
    ("layers", "size", "limit", "need", "have"),
    [
        (({"op": "inputconv", "k": 5, "out": 65},), (32, 32, 3), 64, 65, "filters of a kernel of"),
        (({"op": "inputconv", "k": 7, "out": 97},), (32, 32, 1), 96, 97, "filters of a kernel of"),
        ((DATA, conv(8)), (33 * 100, 8, 8), 78, 104, "processors for its input alone"),
        ((DATA, conv(8)), (32 * 600, 8, 8), 78, 513, "processors or more for its input alone"),
        ((DATA, conv(8, 7)), (32, 32, 2000), 43008, 56000, "bytes of its smallest tile"),
    ],
)
def test_a_need_is_what_the_layer_really_needs(layers, size, limit, need, have):
    found = verdict(*layers, size=size).violations

    assert [(each.limit, each.need) for each in found if have in each.have] == [(limit, need)]


def test_dense_processors_are_among_the_processors():
    text = chip("akida1").toml.replace("value = 78\n", "value = 20\n")

    with pytest.raises(SpecError, match=r"processors\.value = 20, but small_dense.*make 22"):
        ChipProfile.from_toml(text)


CHAINS = st.tuples(
    st.lists(st.sampled_from([conv(8), conv(96), conv(256), conv(17, 7)]), max_size=9),
    st.lists(
        st.sampled_from([{"op": "fc", "out": 8}, {"op": "fc", "out": 2000, "wbits": 1}]),
        max_size=26,
    ),
)


@given(chain=CHAINS, channels=st.sampled_from([1, 8, 200]))
def test_layers_that_get_no_processors_are_told_why(chain, channels):
    found = verdict(DATA, *chain[0], *chain[1], size=(8, 8, channels))

    assert found.fits == all(count is not None for count in processors(found))


def test_of_a_soft_lower_limit_the_smallest_is_the_worst():
    layers = [*[conv(16, ptype="avg", id=name) for name in "ab"]]
    text = chip("akida1").toml
    table = text[text.index("[limits.average_columns]") :].partition("\n\n")[0]
    soft = text.replace(table, f"{table}\nadvisory = true")
    record = {"input_hwc": [16, 2, 8], "layers": [DATA, *layers]}

    found = check_layers(parse_layers(record), ChipProfile.from_toml(soft))

    [warning] = [each for each in found.warnings if each.rule == "average_columns"]
    assert (warning.operation, warning.bound, warning.need) == ("b", "least", 1)
    assert str(warning).startswith(
        "chip 'akida1' asks for at least 3 columns to average (the worst of 2 places); advisory; "
        "b has 1: "
    )


def test_layers_of_another_vendor_can_be_checked_too():
    layers = [
        {"op": "conv", "out": 8, "k": 3, "p": 1},
        {"op": "iaf"},
        {"op": "flatten"},
        {"op": "linear", "out": 10},
    ]
    graph = parse_layers({"input": [2, 16, 16], "layers": layers})

    found = check_layers(graph, chip("akida1"))

    assert found.fits
    assert [layer["form"] for layer in found.placement.layers] == [
        "convolutional",
        "fully_connected",
    ]


@pytest.mark.parametrize(
    "layers",
    [
        [{**conv(8), "op": "inputconv"}],
        [DATA, conv(8)],
        [{**DATA, "bits": 4}, {"op": "fc", "out": 8}],
    ],
)
def test_an_image_is_refused_by_speck_and_not_by_akida(layers):
    graph = parse_layers({"input_hwc": [16, 16, 3], "layers": layers})

    found = check_layers(graph, chip("speck2"))

    assert "analog_first_layer" in rules(found)
    assert found.margins()["analog_first_layer"] == 1
    assert "no way in for pixels" in str(found.violations[0])
    assert check_layers(graph, chip("akida1")).fits


@pytest.mark.parametrize("layers", [[{**DATA, "bits": 1}, conv(8)], [conv(8)]])
def test_events_for_akida_are_no_image_to_speck(layers):
    graph = parse_layers({"input_hwc": [16, 16, 2], "layers": layers})

    assert check_layers(graph, chip("speck2")).fits


def test_an_image_is_warned_of_where_a_host_computes_the_first_layer():
    layers = [{**conv(8), "op": "inputconv"}]
    graph = parse_layers({"input_hwc": [16, 16, 3], "layers": layers})

    found = check_layers(graph, chip("loihi1"))

    assert "analog_first_layer" in {warning.rule for warning in found.warnings}
