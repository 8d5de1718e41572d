from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from spikenas import registry, shipped
from spikenas.architecture import Architecture, Halting, InputSpec, Stage
from spikenas.measurement import trace, trace_architecture
from spikenas.measurement.trace import _FollowOrigins, _Recorder
from spikenas.nn.network import build_network
from spikenas.search_space import SearchSpace
from spikenas.workload import PLACES, AttributeName, Kind, Signal

T, N, D = 3, 16, 8  # 8x8 images in patches of 2


def architecture(mixer="ssa", residual="spike", num_steps=T, **genes):
    options = {
        "input": InputSpec(channels=2, height=8, width=8),
        "num_classes": 5,
        "neuron": "lif",
        "stem": "conv",
        "patch_size": 2,
        "stages": (Stage(embed_dim=D, depth=1, mixer=(mixer,), num_heads=2, mlp_ratio=2.0),),
    }
    return Architecture(num_steps=num_steps, residual=residual, **{**options, **genes})


def operations(workload):
    return {operation.name: operation for operation in workload.operations}


def samples():
    toy = SearchSpace.load("toy")
    two_stages = tuple(
        Stage(embed_dim=8, depth=1, mixer=(mixer,), num_heads=2, downsampling="max_pool")
        for mixer in ("stm", "qk_token")
    )
    drawn = [toy.sample(seed) for seed in range(20)]
    return [*drawn, architecture(stages=two_stages), architecture(num_steps=1, head="spiking")]


def one_of_every_component():
    """Yield a network for each shipped component."""
    stage = {"embed_dim": D, "depth": 1, "mixer": ("none",), "num_heads": 2}
    for family in get_args(registry.Family):
        for name in registry.names(family):
            is_membrane = name in ("conv_side", "sps_membrane")
            genes, stages = {"residual": "membrane" if is_membrane else "spike"}, [stage]
            if not registry.component(family, name).target.startswith("spikenas."):
                continue  # another test's own
            if family == "mixer":
                stages = [{**stage, "mixer": (name,)}]
            elif family == "downsampling":
                stages = [stage, {**stage, "downsampling": name}]
            elif family == "halting":
                stages = [{**stage, "depth": 2}]
                genes["halting"] = None if name == "none" else Halting()
            else:
                genes[family] = name
            yield architecture(stages=tuple(Stage(**each) for each in stages), **genes)


def test_the_named_attributes_and_places_are_those_of_all_components():
    traced = [trace_architecture(each).operations for each in one_of_every_component()]

    operations = [operation for each in traced for operation in each]
    attributes = [item for operation in operations for item in operation.attributes.items()]
    numbers = {name for name, value in attributes if isinstance(value, int | float)}
    assert numbers == set(get_args(AttributeName))
    assert {operation.name.partition(".")[0] for operation in operations} == set(PLACES)


def test_a_tiny_network_is_written_down_as_by_hand():
    workload = trace_architecture(architecture())

    block = "stages.0.0.sub_blocks"
    mixer, mlp, hidden = f"{block}.0.branch", f"{block}.1.branch", 2 * D
    expected = [  # name, kind, output, signal, macs, weights, biases, neurons
        ("stem.layers.0.conv", "conv", (D, 4, 4), "membrane", 9 * 2 * D * N, 9 * 2 * D, 0, 0),
        ("stem.layers.0.norm", "batch_norm", (D, 4, 4), "membrane", 0, 0, 2 * D, 0),
        ("stem.layers.0.neuron", "neuron", (D, 4, 4), "spikes", 0, 0, 0, N * D),
    ]
    for name in "qkv":
        expected += [
            (f"{mixer}.{name}.linear", "linear", (N, D), "membrane", N * D * D, D * D, D, 0),
            (f"{mixer}.{name}.norm", "batch_norm", (N, D), "membrane", 0, 0, 2 * D, 0),
            (f"{mixer}.{name}.neuron", "neuron", (N, D), "spikes", 0, 0, 0, N * D),
        ]
    weights = D * hidden
    expected += [
        (f"{mixer}.attention.similarity", "spike_product", (2, N, N), "counts", N * N * D, 0, 0, 0),
        (f"{mixer}.attention.aggregation", "spike_product", (N, D), "counts", N * N * D, 0, 0, 0),
        (f"{mixer}.attention_neuron", "neuron", (N, D), "spikes", 0, 0, 0, N * D),
        (f"{mixer}.projection.linear", "linear", (N, D), "membrane", N * D * D, D * D, D, 0),
        (f"{mixer}.projection.norm", "batch_norm", (N, D), "membrane", 0, 0, 2 * D, 0),
        (f"{mixer}.projection.neuron", "neuron", (N, D), "spikes", 0, 0, 0, N * D),
        (f"{block}.0.add", "add", (N, D), "counts", 0, 0, 0, 0),
        (
            f"{mlp}.fc1.linear",
            "linear",
            (N, hidden),
            "membrane",
            N * weights,
            weights,
            hidden,
            0,
        ),
        (f"{mlp}.fc1.norm", "batch_norm", (N, hidden), "membrane", 0, 0, 2 * hidden, 0),
        (f"{mlp}.fc1.neuron", "neuron", (N, hidden), "spikes", 0, 0, 0, N * hidden),
        (f"{mlp}.fc2.linear", "linear", (N, D), "membrane", N * weights, weights, D, 0),
        (f"{mlp}.fc2.norm", "batch_norm", (N, D), "membrane", 0, 0, 2 * D, 0),
        (f"{mlp}.fc2.neuron", "neuron", (N, D), "spikes", 0, 0, 0, N * D),
        (f"{block}.1.add", "add", (N, D), "counts", 0, 0, 0, 0),
        ("head.over_tokens", "mean", (D,), "counts", 0, 0, 0, 0),
        ("head.over_steps", "mean", (D,), "counts", 0, 0, 0, 0),
        ("head.classifier", "linear", (5,), "membrane", 5 * D, 5 * D, 5, 0),
    ]
    assert [
        (o.name, o.kind, o.output_shape, o.signal, o.macs, o.weights, o.biases, o.neurons)
        for o in workload.operations
    ] == expected


def test_operands_name_who_feeds_them_through_every_reshape():
    found = operations(trace_architecture(architecture()))

    def sources(name):
        return [operand.source for operand in found[name].inputs]

    block = "stages.0.0.sub_blocks"
    mixer, stem = f"{block}.0.branch", "stem.layers.0.neuron"
    assert sources("stem.layers.0.conv") == ["input"]
    assert {*sources(f"{mixer}.q.linear"), *sources(f"{mixer}.v.linear")} == {stem}
    assert sources(f"{mixer}.attention.similarity") == [f"{mixer}.{x}.neuron" for x in "qk"]
    assert sources(f"{block}.0.add") == [stem, f"{mixer}.projection.neuron"]
    assert sources("head.over_tokens") == [f"{block}.1.add"]


def test_names_are_unique_and_every_source_ran_before():
    for a in samples():
        known = {"input"}
        for operation in trace_architecture(a).operations:
            assert operation.name not in known
            assert {operand.source for operand in operation.inputs} <= known
            known.add(operation.name)


def test_an_operand_is_what_its_source_gave_out():
    for a in samples():
        found = operations(trace_architecture(a))
        for operation in found.values():
            for operand in operation.inputs:
                if operand.source == "input":
                    assert operand.signal is Signal.ANALOG
                    continue
                source = found[operand.source]
                size = torch.Size(source.output_shape).numel()
                assert operand.signal is source.signal
                assert torch.Size(operand.shape).numel() == size


def test_weights_and_biases_sum_to_the_parameters():
    for a in samples():
        workload = trace_architecture(a)
        counted = sum(o.weights + o.biases for o in workload.operations)

        trained = sum(p.numel() for p in build_network(a).parameters())
        assert counted == trained == workload.parameters


@pytest.mark.parametrize("num_steps", [1, 4])
def test_what_follows_the_mean_over_steps_runs_once(num_steps):
    found = operations(trace_architecture(architecture(num_steps=num_steps)))

    once = {"head.classifier"}
    assert {name for name, o in found.items() if o.steps == 1 or num_steps > 1} >= once
    for name, operation in found.items():
        assert operation.steps == (1 if name in once else num_steps)
    assert found["head.over_steps"].output_shape == (D,)
    assert found["head.classifier"].inputs[0].shape == (D,)


def test_a_spiking_head_runs_at_every_step():
    found = operations(trace_architecture(architecture(head="spiking")))

    assert found["head.classifier.linear"].steps == T
    assert found["head.classifier.linear"].macs == 5 * D
    assert found["head.classifier.neuron"].neurons == 5


@pytest.mark.parametrize(
    ("mixer", "macs"),
    [
        ("ssa", 4 * N * D * D + 2 * N * N * D),
        ("qk_token", 3 * N * D * D + 2 * N * D),  # sums over Q and the mask on K
        ("stm", 2 * N * D * D + N * N * D),
        ("conv", 9 * N * D * D),
        ("none", 0),
    ],
)
def test_macs_of_the_mixers_are_those_of_the_papers(mixer, macs):
    around = 9 * 2 * D * N + 2 * N * D * 2 * D  # stem, MLP

    workload = trace_architecture(architecture(mixer))

    assert workload.macs == T * (around + macs) + 5 * D


def test_membrane_shortcuts_carry_membranes():
    workload = trace_architecture(architecture("conv", residual="membrane"))

    adds = [o for o in workload.operations if o.kind is Kind.ADD]
    assert [o.signal for o in adds] == [Signal.MEMBRANE] * 2


def test_events_enter_as_counts():
    events = InputSpec(channels=2, height=8, width=8, kind="events")

    first = trace_architecture(architecture(input=events)).operations[0]

    assert first.inputs[0].signal is Signal.COUNTS
    assert first.inputs[0].shape == (2, 8, 8)


def test_neurons_tell_what_a_chip_must_know():
    neuron = operations(trace_architecture(architecture(tau=4.0, v_threshold=2.0)))

    assert neuron["stem.layers.0.neuron"].attributes == {
        "v_threshold": 2.0,
        "leak": 0.25,
        "reset": "zero",
        "tau": 4.0,
    }
    attention = neuron["stages.0.0.sub_blocks.0.branch.attention_neuron"]
    assert attention.attributes["v_threshold"] == 1.0  # half the gene


def test_a_built_network_traces_as_its_architecture_and_stays_as_it_was():
    network = build_network(architecture()).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    workload = trace(network)

    assert workload == trace_architecture(architecture())
    assert network.training
    assert all(tensor.equal(before[name]) for name, tensor in network.state_dict().items())
    assert not any(m._forward_hooks for m in network.modules())


@pytest.mark.parametrize(
    ("name", "members"),
    [(name, 60 if name == "unified_cifar10" else 8) for name in shipped.names("search_spaces")],
)
def test_remembered_parts_make_the_workload_of_the_whole_network(name, members):
    space = SearchSpace.load(name)
    for seed in range(members):
        architecture = space.sample(seed)
        with torch.device("meta"):
            network = build_network(architecture)

        assert trace_architecture(architecture) == trace(network)


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: F.conv2d(x, torch.zeros(5, 3, 3, 3), stride=2, padding=1),
        lambda x: F.conv2d(x, torch.zeros(5, 3, 4, 4), None, (4, 4)),
        lambda x: F.conv2d(x, torch.zeros(5, 3, 1, 1), None, (2, 2), (0, 0)),
        lambda x: F.conv1d(x.flatten(2), torch.zeros(5, 3, 3), padding=1),
    ],
)
def test_a_convolution_in_a_trace_has_the_shape_of_a_real_one(compute):
    x = torch.zeros(2, 3, 9, 8)

    with _FollowOrigins(_Recorder()):
        traced = compute(x[:0])

    assert traced.shape[1:] == compute(x).shape[1:]
