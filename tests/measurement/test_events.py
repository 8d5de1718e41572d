"""Events against counts by brute force, over the tensors that entered and left each operation."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from spikenas.architecture import Architecture, Halting, InputSpec, Stage
from spikenas.measurement import measure
from spikenas.nn.network import build_network
from spikenas.nn.operations import (
    ChannelMask,
    Coincidence,
    Conv,
    ConvOverTokens,
    HeadMask,
    HeadSum,
    Leaf,
    Linear,
    TokenAggregation,
    TokenMixing,
    TokenSimilarity,
    TokenSum,
)
from spikenas.workload import Kind

T, N = 3, 16
MIXERS = ("conv", "stm", "ssa", "qk_token", "qk_channel", "multi_scale", "spike_driven")


def architecture(mixer, **genes):
    stage = Stage(embed_dim=16, depth=2, mixer=(mixer, mixer), num_heads=2, mlp_ratio=2.0)
    a = Architecture(
        input=InputSpec(channels=2, height=8, width=8),
        num_classes=4,
        num_steps=T,
        neuron="lif",
        residual="spike",
        stem="conv",
        patch_size=2,
        stages=(stage,),
    )
    return replace(a, **genes)


def firing(a):
    """Return a network in which many neurons fire, each at its own rate."""
    torch.manual_seed(0)
    network = build_network(a).eval()
    for module in network.modules():
        if hasattr(module, "running_mean"):
            torch.nn.init.normal_(module.bias, 0.7, 0.7)
    return network


def batch(size=3):
    random = torch.Generator().manual_seed(1)
    return torch.rand(size, 2, 8, 8, generator=random), torch.zeros(size, dtype=torch.long)


def recorded(network, images):
    """Return leaf, inputs and output of every operation by name."""
    seen = {}
    hooks = [
        leaf.register_forward_hook(
            lambda leaf, inputs, output, name=name: seen.update({name: (leaf, inputs, output)})
        )
        for name, leaf in network.named_modules()
        if isinstance(leaf, Leaf)
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return seen


def _convolved(leaf, x):
    every = torch.ones_like(leaf.weight, dtype=torch.double)
    return F.conv2d(x.flatten(0, 1), every, stride=leaf.stride, padding=leaf.padding)


def _convolved_tokens(leaf, x):
    every = torch.ones_like(leaf.weight, dtype=torch.double)
    return F.conv1d(x.flatten(0, 1).mT, every, padding=leaf.kernel_size // 2)


def _aggregated(leaf, attn, v):  # A [T, B, h, N, N, 1], V [T, B, h, 1, N, d]
    heads = v.unflatten(3, (attn.shape[2], -1)).transpose(2, 3)
    return attn.unsqueeze(5) * heads.unsqueeze(3)


# Every product of one factor 1 and another 1, written out; all tensors are zeros and ones.
BRUTE_FORCE = {
    Conv: _convolved,
    ConvOverTokens: _convolved_tokens,
    Linear: lambda leaf, x: F.linear(x, torch.ones_like(leaf.weight, dtype=torch.double)),
    TokenMixing: lambda leaf, x: x.unsqueeze(3).expand(*x.shape[:3], N, x.shape[3]),
    TokenSimilarity: lambda leaf, q, k: q.unsqueeze(3) * k.unsqueeze(2),
    TokenAggregation: _aggregated,
    HeadSum: lambda leaf, x: x,
    TokenSum: lambda leaf, x: x,
    HeadMask: lambda leaf, m, x: m.repeat_interleave(x.shape[3] // m.shape[3], 3) * x,
    ChannelMask: lambda leaf, m, x: m.unsqueeze(2) * x,
    Coincidence: lambda leaf, x, y: x * y,
}


def counted(leaf, inputs):
    """Return how many multiply-accumulates have two non-zero factors, one by one."""
    ones = [(x != 0).double() for x in inputs]
    return float(BRUTE_FORCE[type(leaf)](leaf, *ones).sum())


@pytest.mark.parametrize("mixer", MIXERS)
def test_events_are_the_pairs_of_non_zeros_that_meet(mixer):
    network, (images, labels) = firing(architecture(mixer)), batch()

    workload = measure(network, [(images, labels)]).workload

    seen = recorded(network, images)
    priced = [operation for operation in workload.operations if operation.macs]
    assert sum(operation.events > 0 for operation in priced) > len(priced) // 2
    for operation in priced:
        leaf, inputs, _ = seen[operation.name]
        assert operation.events == pytest.approx(counted(leaf, inputs) / 3), operation.name


@pytest.mark.parametrize("mixer", MIXERS)
def test_synops_are_those_of_the_papers_macs_by_the_rate_of_the_left_operand(mixer):
    network, (images, labels) = firing(architecture(mixer)), batch()

    workload = measure(network, [(images, labels)]).workload

    seen = recorded(network, images)
    for operation in workload.operations:
        if operation.macs:
            left = seen[operation.name][1][0]
            rate = float((left != 0).double().mean())
            steps = left.shape[0] if left.dim() > 2 else 1
            assert operation.synops == pytest.approx(rate * steps * operation.macs)


def test_a_product_of_two_spike_trains_counts_coincident_ones():
    network, (images, labels) = firing(architecture("ssa")), batch()

    workload = measure(network, [(images, labels)]).workload

    product = next(o for o in workload.operations if o.kind is Kind.SPIKE_PRODUCT)
    leaf, _, output = recorded(network, images)[product.name]
    assert product.events == pytest.approx(float(output.double().sum()) / leaf.scale / 3)
    assert product.events < product.synops


def test_padding_meets_no_weight():
    network, (images, labels) = firing(architecture("conv")), batch()

    workload = measure(network, [(images, labels)]).workload

    convolutions = [o for o in workload.operations if o.attributes.get("padding")]
    assert convolutions
    assert all(o.events < o.synops for o in convolutions)


def test_batches_add_up():
    network, (images, labels) = firing(architecture("spike_driven")), batch()

    whole = measure(network, [(images, labels)]).workload
    parts = measure(network, [(images[:1], labels[:1]), (images[1:], labels[1:])]).workload

    for one, other in zip(whole.operations, parts.operations, strict=True):
        assert one.events == (None if other.events is None else pytest.approx(other.events))


def halting(mixer, *, is_compact):
    """Return a network of two blocks whose tokens halt at random before the second."""
    network = firing(architecture(mixer, halting=Halting(threshold=0.5, ponder_cost=0.1)))
    network.halting.is_compact = is_compact
    network.halting.scores[0].forward = lambda x: torch.rand(
        x.shape[:3], generator=torch.Generator().manual_seed(2)
    )
    return network


@pytest.mark.parametrize("mixer", ["ssa", "spike_driven"])
@pytest.mark.parametrize("is_compact", [True, False])
def test_with_halting_only_active_tokens_count(mixer, is_compact):
    network = halting(mixer, is_compact=is_compact)
    images, labels = batch(5)

    workload = measure(network, [(images, labels)]).workload

    first, second = (
        {o.name: o for o in workload.operations if o.name.startswith(f"stages.0.{i}.")}
        for i in (0, 1)
    )
    active = second["stages.0.1.sub_blocks.0.branch.q.linear"].active_share
    assert {o.active_share for o in first.values()} == {1.0}
    assert 0 < active < 1
    seen = recorded(network, images)
    rows = seen["stages.0.1.sub_blocks.0.branch.q.linear"][1][0]
    if is_compact:
        assert active == pytest.approx(len(rows) / (T * 5 * N))
    for operation in second.values():
        if operation.kind is Kind.SPIKE_PRODUCT:
            assert active**2 <= operation.active_share < active
        elif operation.neurons and len(operation.output_shape) > 1:
            assert operation.active_share == active
    assert workload.operations[0].active_share == 1.0


def test_both_forms_of_halting_count_the_same():
    found = [
        measure(halting("ssa", is_compact=is_compact), [batch(5)]).workload
        for is_compact in (True, False)
    ]

    for packed, masked in zip(found[0].operations, found[1].operations, strict=True):
        assert packed.active_share == pytest.approx(masked.active_share)
        if packed.macs:
            assert packed.events == pytest.approx(masked.events)
