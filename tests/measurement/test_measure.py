from dataclasses import replace

import pytest
import torch

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.measurement import measure, trace_architecture
from spikenas.nn.network import build_network
from spikenas.nn.operations import Leaf
from spikenas.workload import Signal

T = 3


def network(mixer="ssa", residual="spike"):
    torch.manual_seed(0)
    stage = Stage(embed_dim=16, depth=1, mixer=(mixer,), num_heads=2, mlp_ratio=2.0)
    made = build_network(
        Architecture(
            input=InputSpec(channels=1, height=8, width=8),
            num_classes=4,
            num_steps=T,
            neuron="lif",
            residual=residual,
            stem="conv",
            patch_size=2,
            stages=(stage,),
        )
    )
    for module in made.modules():
        if hasattr(module, "running_mean"):
            torch.nn.init.normal_(module.bias, 1.0, 1.0)  # so that neurons fire
    return made


def batches(*sizes):
    random = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn((size, 1, 8, 8), generator=random).relu(),
            torch.randint(4, (size,), generator=random),
        )
        for size in sizes
    ]


def recorded(net, data):
    """Run ``data`` in evaluation mode; return all that entered and left each leaf, by name."""
    tensors = {}

    def keep(name):
        def hook(_module, inputs, output):
            tensors.setdefault(name, []).append((*inputs, output))

        return hook

    leaves = [(n, m) for n, m in net.named_modules() if isinstance(m, Leaf)]
    hooks = [leaf.register_forward_hook(keep(name)) for name, leaf in leaves]
    net.eval()
    with torch.no_grad():
        for images, _ in data:
            net(images)
    for hook in hooks:
        hook.remove()
    return tensors


@pytest.mark.parametrize(
    ("mixer", "residual"), [("ssa", "spike"), ("qk_token", "none"), ("stm", "membrane")]
)
def test_rates_are_counts_of_non_zero_elements(mixer, residual):
    net, data = network(mixer, residual), batches(4, 4, 1)

    workload = measure(net, data).workload

    tensors = recorded(net, data)
    for operation in workload.operations:
        if not (operation.macs or operation.neurons):
            continue
        signals = [operand.signal for operand in operation.inputs] + [operation.signal]
        rates = [operand.spike_rate for operand in operation.inputs] + [operation.spike_rate]
        for position, (signal, rate) in enumerate(zip(signals, rates, strict=True)):
            is_output = position == len(operation.inputs)
            if signal is Signal.MEMBRANE and (is_output or not operation.macs):
                assert rate == 1.0  # nobody multiplies it, so it is not counted
                continue
            seen = torch.cat([run[position].flatten() for run in tensors[operation.name]])
            assert rate == pytest.approx((seen != 0).double().mean().item(), abs=1e-12)


def test_the_spike_rate_of_a_network_is_spikes_per_neuron_and_step():
    net, data = network(), batches(5)

    workload = measure(net, data).workload

    tensors = recorded(net, data)
    neurons = [o.name for o in workload.operations if o.neurons]
    spikes = sum(tensors[name][0][-1].sum().item() for name in neurons)
    chances = sum(tensors[name][0][-1].numel() for name in neurons)
    assert workload.spike_rate == pytest.approx(spikes / chances)
    assert 0 < workload.spike_rate < 1


def test_a_measured_workload_has_synops_and_is_otherwise_the_traced_one():
    net = network()

    found = measure(net, batches(2)).workload

    assert found.is_measured
    assert found.synops > 0
    assert [o.name for o in found.operations] == [
        o.name for o in trace_architecture(net.architecture).operations
    ]
    assert found.macs == trace_architecture(net.architecture).macs


def test_accuracy_is_the_part_of_right_answers():
    net, data = network(), batches(6, 3)

    found = measure(net, data)

    with torch.no_grad():
        right = sum(int((net.eval()(x).argmax(1) == y).sum()) for x, y in data)
    assert found.accuracy == right / 9


def test_labels_that_the_network_gives_are_all_right():
    net = network()
    [(images, _)] = batches(7)
    with torch.no_grad():
        answers = net.eval()(images).argmax(1)

    assert measure(net, [(images, answers)]).accuracy == 1.0


def test_batches_of_any_size_give_the_same_rates():
    net = network()
    [(images, labels)] = batches(8)

    whole = measure(net, [(images, labels)])
    halves = measure(net, [(images[:5], labels[:5]), (images[5:], labels[5:])])

    assert whole.accuracy == halves.accuracy
    assert whole.workload.synops == pytest.approx(halves.workload.synops)


def test_measuring_leaves_the_network_as_it_was():
    net = network().train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}

    measure(net, batches(3))

    assert net.training
    assert all(tensor.equal(before[name]) for name, tensor in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_no_sample_is_an_error():
    with pytest.raises(ValueError, match="at least one sample"):
        measure(network(), [])


def test_a_measured_neuron_has_the_time_constant_that_it_learnt():
    learnt = build_network(replace(network().architecture, neuron="plif", tau=3.0))
    for name, parameter in learnt.named_parameters():
        if name.endswith("neuron.weight"):
            torch.nn.init.constant_(parameter, 2.0)  # tau = 1 + e^-2

    workload = measure(learnt, [(torch.rand(2, 1, 8, 8), torch.zeros(2).long())]).workload

    found = {o.name: o.attributes["tau"] for o in workload.operations if o.neurons}
    assert found["stages.0.0.sub_blocks.0.branch.projection.neuron"] == pytest.approx(
        1 + 2.718281828**-2
    )
