import math
from dataclasses import replace

import pytest
import torch
from trained_networks import architecture, for_chips

from spikenas.architecture import Architecture, Halting, Stage
from spikenas.exceptions import InfeasibleError
from spikenas.measurement.trace import trace, trace_architecture
from spikenas.nn.network import build_network
from spikenas.workload import Kind

nir = pytest.importorskip("nir", reason="needs the extra nir")

from spikenas.export.formats.nir_graph import build, refuse  # noqa: E402  (imports nir)

SMALL = Stage(embed_dim=16, depth=1, mixer=("conv",), mlp_ratio=2.0)


def graph_of(a: Architecture):
    network = build_network(a).eval()
    shape = (a.input.channels, a.input.height, a.input.width)
    return build(trace(network), network.state_dict(), shape)


@pytest.mark.parametrize(
    ("a", "reason", "operations"),
    [
        (
            architecture(),
            "a product of two signals",
            [
                "stages.0.0.sub_blocks.0.branch.attention.similarity",
                "stages.0.0.sub_blocks.0.branch.attention.aggregation",
            ],
        ),
        (architecture(stem="sps", stages=(SMALL,)), "a maximum", ["stem.stages.3.1"]),
        (
            architecture(stem="conv_side", residual="membrane", stages=(SMALL,)),
            "concatenation",
            ["stem.concat"],
        ),
        (
            architecture(
                stages=(Stage(embed_dim=16, depth=1, mixer=("stm",), num_heads=2, mlp_ratio=1.0),)
            ),
            "a matrix over the tokens of a map",
            ["stages.0.0.sub_blocks.0.branch.mixing"],
        ),
        (
            architecture(
                halting=Halting(),
                stages=(Stage(embed_dim=16, depth=2, mixer=("ssa",), num_heads=2, mlp_ratio=1.0),),
            ),
            "a product of two signals",
            ["halting.scores.0"],
        ),
        (
            architecture(stem="i_sps", stages=(SMALL,)),
            "what runs once and is held",
            ["stem."],
        ),
    ],
)
def test_every_operation_that_nir_lacks_is_named(a, reason, operations):
    with pytest.raises(InfeasibleError) as raised:
        refuse(trace_architecture(a))

    assert f"{reason}: " in str(raised.value)
    for operation in operations:
        assert operation in str(raised.value)


def test_a_neuron_of_unknown_dynamics_is_refused_by_the_name_of_its_class():
    workload = trace_architecture(for_chips())
    own = {"v_threshold": 1.0, "reset": "zero", "neuron": "QuadraticIF"}
    operations = (
        replace(each, attributes=own) if each.kind is Kind.NEURON else each
        for each in workload.operations
    )

    with pytest.raises(InfeasibleError, match=r"dynamics of neuron QuadraticIF: stem\.") as raised:
        refuse(replace(workload, operations=tuple(operations)))
    assert all(o.name in str(raised.value) for o in workload.operations if o.neurons)


def test_a_network_for_chips_is_made_of_portable_nodes():
    graph, scale = graph_of(for_chips())

    kinds = {type(node).__name__ for node in graph.nodes.values()}
    assert kinds == {"Affine", "Conv2d", "Flatten", "IF", "Input", "Output", "SumPool2d"}
    assert scale == 1.0


def test_an_if_fires_at_its_threshold_too():
    graph, _ = graph_of(for_chips())

    thresholds = {
        float(n.v_threshold.flat[0]) for n in graph.nodes.values() if isinstance(n, nir.IF)
    }

    assert all(t < 0.5 <= math.nextafter(t, 1) + 1e-7 for t in thresholds)


def test_a_lif_whose_input_does_not_decay_has_a_smaller_threshold():
    graph, _ = graph_of(architecture(stages=(SMALL,), neuron="stmixer_lif"))

    node = next(n for n in graph.nodes.values() if isinstance(n, nir.LIF))
    assert node.v_threshold.flat[0] == pytest.approx(0.25)
    assert node.tau.flat[0] == pytest.approx(2e-4)


@pytest.mark.parametrize("eps", [1e-5, 0.25])
def test_batch_norm_is_in_the_weights_before_it_with_its_own_eps(eps):
    a = for_chips()
    network = build_network(a).eval()
    norm = network.stem.layers[0].norm
    norm.eps = eps
    with torch.no_grad():
        norm.weight.fill_(3.0)
        norm.bias.fill_(0.5)
        norm.running_mean.fill_(2.0)
        norm.running_var.fill_(4.0 - eps)

    graph, _ = build(trace(network), network.state_dict(), (1, 8, 8))

    node = graph.nodes["stem_layers_0_conv"]
    torch.testing.assert_close(
        torch.tensor(node.weight), network.stem.layers[0].conv.weight.detach() * 1.5
    )
    torch.testing.assert_close(torch.tensor(node.bias), torch.full((len(node.bias),), -2.5))
