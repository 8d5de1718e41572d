"""What networks as they are built become, and which of them real chips hold."""

import pytest

from spikenas.architecture import Architecture, Halting, InputSpec, Stage
from spikenas.hardware import check, chip, chips, fold_batch_norm
from spikenas.hardware.layers import LayerKind
from spikenas.measurement import trace_architecture
from spikenas.search_space import SearchSpace

EVENTS = InputSpec(channels=2, height=34, width=34, kind="events")


def workload(mixer="conv", *, depth=1, mlp_ratio=1.0, **genes):
    stage = Stage(embed_dim=16, depth=depth, mixer=(mixer,), num_heads=2, mlp_ratio=mlp_ratio)
    architecture = {
        "input": EVENTS,
        "num_classes": 10,
        "num_steps": 4,
        "neuron": "if",
        "residual": "none",
        "stem": "conv",
        "patch_size": 4,
        "stages": (stage,),
        "head": "spiking",
        **genes,
    }
    return trace_architecture(Architecture(**architecture))


def test_batch_norm_means_and_tokens_are_folded_away():
    graph = fold_batch_norm(workload())

    weights = [layer for layer in graph.layers if layer.kind is LayerKind.CONV]
    assert {layer.kind for layer in graph.layers} == {LayerKind.CONV, LayerKind.NEURON}
    assert [(layer.kernel, layer.output_shape, layer.biases) for layer in weights] == [
        ((3, 3), (8, 17, 17), 8),
        ((3, 3), (16, 9, 9), 16),
        ((3, 3), (16, 9, 9), 16),
        ((1, 1), (16, 9, 9), 16),  # a linear map of tokens is a 1x1 convolution
        ((1, 1), (16, 9, 9), 16),
        ((9, 9), (10, 1, 1), 10),  # the mean over tokens is in the classifier's weights
    ]


def test_speck_holds_a_network_that_is_made_for_it():
    found = check(workload(), chip("speck2"))

    assert found.fits
    assert found.placement.summary.startswith("6 of 6 layers on 9 cores")
    assert [layer["kernel"] for layer in found.placement.layers] == [
        2 * 16 * 8,
        8 * 16 * 16,
        16 * 16 * 16,
        16 * 16,
        16 * 16,
        16 * 128 * 16,
    ]
    assert [layer["neuron"] for layer in found.placement.layers] == [
        8 * 32 * 32,
        *(16 * 16 * 16,) * 4,
        10,
    ]


@pytest.mark.parametrize(
    ("genes", "rule"),
    [
        ({"neuron": "lif"}, "leak"),
        ({"residual": "membrane"}, "membrane_shortcut"),
        ({"residual": "spike"}, "merge"),
        ({"head": "mean_linear"}, "layer_order"),
        ({"mixer": "stm"}, "token_mixing"),
        ({"mixer": "ssa"}, "spike_product"),
        ({"depth": 4}, "cores"),
        ({"input": InputSpec(channels=3, height=32, width=32)}, "analog_first_layer"),
        ({"input": InputSpec(channels=2, height=200, width=200, kind="events")}, "input_size"),
    ],
)
def test_speck_says_what_keeps_a_network_off_it(genes, rule):
    found = check(workload(**genes), chip("speck2"))

    assert rule in {violation.rule for violation in found.violations}
    assert found.margins()[rule] > 0
    assert found.margins().keys() == {*chip("speck2").margin_names}


def test_akida_holds_one_step_of_a_chain_on_an_image():
    image = {"input": InputSpec(channels=3, height=32, width=32), "num_steps": 1}

    found = check(workload(**image), chip("akida1"))
    two_steps = check(workload(**{**image, "num_steps": 2}), chip("akida1"))

    assert found.fits
    assert found.placement.layers[0]["form"] == "input_convolutional"
    assert found.placement.layers[-1]["form"] == "fully_connected"
    assert [violation.rule for violation in two_steps.violations] == ["max_steps"]


def test_a_membrane_shortcut_brings_every_branch_before_it_to_a_neuron():
    graph = fold_batch_norm(workload(residual="membrane", depth=2, mlp_ratio=0.0))

    neurons = [layer for layer in graph.layers if layer.kind is LayerKind.NEURON]

    assert [len(graph.drives(neuron)) for neuron in neurons] == [1, 1, 2, 3, 1]


@pytest.mark.parametrize("name", ["async_generic", "speck2", "akida1", "loihi1", "truenorth"])
def test_halting_is_refused_by_its_own_name_and_cure(name):
    halting = workload(
        "ssa", depth=2, neuron="lif", residual="spike", stem="i_sps", head="mean_linear",
        input=InputSpec(channels=3, height=32, width=32), halting=Halting(),
    )  # fmt: skip

    found = check(halting, chip(name))

    refusals = [v for v in found.violations if v.operation.startswith("halting.")]
    assert refusals
    assert all("halting = 'none'" in refusal.cure for refusal in refusals)


@pytest.mark.parametrize("name", chips())
def test_the_keys_of_the_margins_depend_on_the_chip_alone(name):
    profile = chip(name)

    found = [check(workload(mixer), profile) for mixer in ("conv", "ssa", "stm")]

    assert all(verdict.margins().keys() == {*profile.margin_names} for verdict in found)
    assert all(verdict.fits == (max(verdict.worst.values()) <= 0) for verdict in found)


@pytest.mark.parametrize(("space", "name"), [("speck", "speck2"), ("akida", "akida1")])
def test_one_member_in_ten_of_a_chips_space_fits_it(space, name):
    members = SearchSpace.load(space)

    fitting = sum(
        check(trace_architecture(members.sample(seed)), chip(name)).fits for seed in range(200)
    )

    assert fitting >= 20
