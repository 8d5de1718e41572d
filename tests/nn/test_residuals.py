"""Stochastic depth: which branches are left out, of which samples, and that none is by default."""

import pytest
import torch
from torch import nn

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.nn.branch import Branch
from spikenas.nn.network import build_network
from spikenas.nn.residuals import MembraneResidual, SpikeResidual


def network(residual="spike", depths=(2, 3)):
    torch.manual_seed(0)
    stages = tuple(
        Stage(embed_dim=8, depth=depth, mixer=("conv",), mlp_ratio=2.0, downsampling="max_pool")
        for depth in depths
    )
    return build_network(
        Architecture(
            input=InputSpec(channels=1, height=8, width=8),
            num_classes=3,
            num_steps=2,
            neuron="lif",
            residual=residual,
            stem="conv",
            patch_size=1,
            stages=stages,
        )
    )


def images():
    return torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def rates(net):
    """Return the probabilities of each block's sub-blocks."""
    return [
        [sub_block.drop_probability for sub_block in block.sub_blocks]
        for blocks in net.stages
        for block in blocks
    ]


class Same(Branch):
    def forward(self, x):
        return x


def kept_by_sample(kind, probability, *, batch=2000):
    """Return what the branch adds to each of many samples, over what it gives without drops."""
    joined = kind(Same(), nn.Identity).train()
    joined.drop_probability = probability
    x = 1.0 + torch.rand(3, batch, 2, 2, generator=torch.Generator().manual_seed(2)).double()
    torch.manual_seed(3)
    return (joined(x) - x) / x  # [T, B, N, D]


@pytest.mark.parametrize("residual", ["spike", "membrane"])
def test_no_branch_is_left_out_by_default_and_none_in_evaluation(residual):
    net, x = network(residual), images()
    assert rates(net) == [[0.0, 0.0]] * 5
    with torch.no_grad():
        expected = net.eval()(x)

        net.drop_blocks(0.9)
        found = net.eval()(x)

    assert found.equal(expected)


def test_training_draws_nothing_while_no_rate_is_set():
    net, x = network().train(), images()
    state = torch.get_rng_state()

    net(x)
    net.drop_blocks(0.0)
    net(x)

    assert torch.get_rng_state().equal(state)


@pytest.mark.parametrize("kind", [SpikeResidual, MembraneResidual])
def test_whole_samples_lose_a_branch_for_all_steps_and_tokens(kind):
    added = kept_by_sample(kind, 0.25)

    by_sample = added[0, :, 0, 0]
    torch.testing.assert_close(added, by_sample.view(1, -1, 1, 1).expand_as(added))
    assert by_sample.round(decimals=9).unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert (by_sample == 0).double().mean().item() == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.8])
def test_the_expectation_of_a_branch_is_kept(probability):
    added = kept_by_sample(SpikeResidual, probability, batch=20_000)

    assert added.mean().item() == pytest.approx(1.0, abs=0.06)


def test_a_dropped_sample_is_as_if_its_branch_were_not_there():
    net, x = network(depths=(2,)).train(), images()
    net.drop_blocks(1.0 - 1e-9)
    streams = list(net.streams(x))

    first, second = streams[1], streams[2]  # behind the first block, never dropped, and the last

    assert not first.equal(streams[0])
    assert second.equal(first)


@pytest.mark.parametrize(("depths", "expected"), [((2, 3), [0, 0.1, 0.2, 0.3, 0.4]), ((1,), [0])])
def test_rates_grow_evenly_over_the_depth_of_all_stages(depths, expected):
    net = network(depths=depths)

    net.drop_blocks(0.4)

    assert rates(net) == [[pytest.approx(rate)] * 2 for rate in expected]


def test_without_a_sum_there_is_nothing_to_leave_out():
    net = network("none")

    net.drop_blocks(0.5)

    assert not any(isinstance(module, MembraneResidual | SpikeResidual) for module in net.modules())
