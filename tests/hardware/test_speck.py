import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikenas.hardware import check_layers, chip, parse_layers


def conv(out, k=3, **more):
    return {"op": "conv", "out": out, "k": k, **more}


IAF = {"op": "iaf"}


def verdict(*layers, size=(2, 16, 16)):
    return check_layers(parse_layers({"input": [*size], "layers": [*layers]}), chip("speck2"))


def rules(found):
    return {violation.rule for violation in found.violations}


def test_memory_is_rounded_as_on_paper():
    # 3 channels in, 5x5 kernel, 20 out on 17x9: 3 2^(5 + 5) and 20 2^(5 + 4)
    found = verdict(conv(20, 5, p=2, bias=True), IAF, size=(3, 17, 9))

    [layer] = found.placement.layers
    assert (layer["kernel"], layer["neuron"], layer["bias"]) == (3 * 1024, 20 * 512, 20)
    assert layer["cores_that_fit"] == list(range(9))


def test_powers_of_two_are_not_rounded_up():
    # 16 channels, 4x4 kernel, 256 out on 4x4: 16 2^(4 + 8) and 256 2^(2 + 2)
    found = verdict(conv(256, 4, s=4), IAF, size=(16, 16, 16))

    [layer] = found.placement.layers
    assert (layer["kernel"], layer["neuron"]) == (65536, 4096)
    assert layer["cores_that_fit"] == [5, 6]


def test_layers_that_fit_a_core_each_may_not_fit_together():
    # 64 to 64 channels, 3x3: 65536 words, which only two cores have
    two = verdict(*(conv(64, p=1), IAF) * 2, size=(64, 8, 8))
    three = verdict(*(conv(64, p=1), IAF) * 3, size=(64, 8, 8))

    assert two.fits
    assert sorted(layer["core"] for layer in two.placement.layers) == [5, 6]
    assert rules(three) == {"matching"}
    assert three.margins()["matching"] == 1


def test_a_tenth_layer_has_no_core():
    ten = verdict(*(conv(4, p=1), IAF) * 10)

    assert rules(ten) == {"cores"}
    assert ten.margins()["cores"] == pytest.approx(1 / 9)


def test_pools_in_a_row_multiply():
    pool = {"op": "avgpool", "k": 2}
    tail = (conv(4, 1), IAF)

    four = verdict(conv(4, p=1), IAF, pool, pool, *tail)
    eight = verdict(conv(4, p=1), IAF, pool, pool, pool, *tail)

    assert four.fits
    assert rules(eight) == {"pooling"}


def test_a_linear_map_has_the_map_as_its_kernel():
    flat = ({"op": "flatten"}, {"op": "linear", "out": 10}, IAF)

    square = verdict(*flat, size=(2, 16, 16))
    oblong = verdict(*flat, size=(2, 16, 8))
    large = verdict(*flat, size=(1, 20, 20))

    assert square.fits
    assert rules(oblong) == {"square"}
    assert rules(large) == {"kernel_size"}


@pytest.mark.parametrize(
    ("layers", "rule"),
    [
        ((conv(4), {"op": "lif"}), "unsupported_neuron"),
        ((conv(4), {"op": "relu"}), "unsupported_neuron"),
        ((conv(4),), "layer_order"),
        ((conv(4), conv(4), IAF), "layer_order"),
        ((conv(4), IAF, IAF), "layer_order"),
        (({"op": "sumpool", "k": 2}, conv(4), IAF), "layer_order"),
        ((conv(4), IAF, {"op": "maxpool", "k": 2}, conv(4), IAF), "unsupported_operation"),
        ((conv(4), IAF, {"op": "bn"}, conv(4), IAF), "unsupported_operation"),
        ((conv(4, [3, 5]), IAF), "square"),
        ((conv(4, p=1, groups=2), IAF), "dense_kernel"),
        ((conv(4, dilation=2), IAF), "dense_kernel"),
        ((conv(4, s=3), IAF), "strides"),
        ((conv(4, 16, p=8), IAF), "padding"),
        ((conv(2000, 16), IAF), "channels"),
    ],
)
def test_what_no_core_does_is_refused(layers, rule):
    assert rule in rules(verdict(*layers))


def test_a_sum_of_two_streams_is_an_event_address_and_costs_no_core():
    found = verdict(
        conv(4, p=1),
        {"op": "iaf", "id": "a"},
        conv(4, p=1),
        {"op": "iaf", "id": "b"},
        {"op": "merge", "in": ["a", "b"]},
        conv(4, p=1),
        IAF,
    )

    assert found.fits
    assert [layer["destinations"] for layer in found.placement.layers] == [[1, 2], [2], [-1]]


def test_a_third_destination_and_a_sum_that_feeds_two_are_refused():
    branches = [
        layer
        for name in "bcd"
        for layer in ({**conv(4, p=1), "id": f"conv_{name}", "in": ["a"]}, {**IAF, "id": name})
    ]

    three = verdict(conv(4, p=1), {**IAF, "id": "a"}, *branches)
    forked = verdict(
        conv(4, p=1),
        {**IAF, "id": "a"},
        *branches[:4],
        {"op": "merge", "id": "sum", "in": ["b", "c"]},
        {**conv(4), "in": "sum"},
        IAF,
        {**conv(4), "in": "sum"},
        IAF,
    )

    assert rules(three) == {"destinations"}
    assert rules(forked) == {"merge"}


def test_batch_norm_behind_weights_is_a_bias():
    found = verdict(conv(4), {"op": "bn"}, {"op": "dropout"}, IAF)

    assert found.fits
    assert found.placement.layers[0]["bias"] == 4


def test_more_than_fifteen_classes_only_warn():
    found = verdict(conv(16, 16), IAF)

    assert found.fits
    assert [warning.rule for warning in found.warnings] == ["readout_classes"]
    assert found.margins()["readout_classes"] <= 0


sizes = st.integers(1, 300)


@given(sizes, sizes, st.integers(1, 5), st.integers(4, 40), st.integers(0, 100))
def test_more_channels_never_fit_better(channels, out, kernel, side, more):
    def margins(channels, out):
        return verdict(conv(out, min(kernel, side)), IAF, size=(channels, side, side)).margins()

    small, wide_in, wide_out = (
        margins(channels, out),
        margins(channels + more, out),
        margins(channels, out + more),
    )

    for name in ("kernel_memory", "neuron_memory", "bias_memory", "channels"):
        assert small[name] <= wide_in[name]
        assert small[name] <= wide_out[name]


@given(sizes, sizes, st.integers(4, 40), st.integers(0, 100))
def test_what_fits_with_more_channels_fits_with_fewer(channels, out, side, more):
    wide = verdict(conv(out + more, 3), IAF, size=(channels + more, side, side))
    narrow = verdict(conv(out, 3), IAF, size=(channels, side, side))

    assert narrow.fits or not wide.fits
