from math import log

import pytest
import torch
from torch import nn

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.exceptions import UsageError
from spikenas.nn.network import build_network
from spikenas.nn.neurons.neuron import Neuron
from spikenas.training.surrogate_modules import SurrogateHead, SurrogateModules, surrogate_loss

IMAGE = InputSpec(channels=1, height=8, width=8)


def stage(depth=2, mixer=("stm",), width=8, downsampling=None):
    return Stage(
        embed_dim=width,
        depth=depth,
        mixer=mixer,
        num_heads=2,
        mlp_ratio=2.0,
        downsampling=downsampling,
    )


def stmixer(*stages, num_steps=1):
    return Architecture(
        input=IMAGE,
        num_classes=3,
        num_steps=num_steps,
        neuron="stmixer_lif",
        residual="membrane",
        stem="conv_side",
        patch_size=2,
        stages=stages or (stage(),),
    )


def head(num_steps=1):
    made = SurrogateHead(
        stage=stage(), num_blocks=1, grid=(4, 4), residual="membrane", num_classes=3
    )
    return made, torch.randn(num_steps, 3, 16, 8)


def test_the_loss_is_that_of_an_example_worked_by_hand():
    logits = torch.tensor([[3 * log(3.0), 0.0]])  # 3/4 and 1/4 at temperature 3
    side = torch.tensor([[0.0, 0.0]])  # 1/2 and 1/2
    soft = (0.75 * log(1.5) + 0.25 * log(0.5) + 0.5 * log(2 / 3) + 0.5 * log(2)) / 2
    hard = (log(28 / 27) + 0.5 * log(2)) / 1.5

    loss = surrogate_loss(logits, [side], torch.tensor([0]), weight=0.9)

    assert float(loss) == pytest.approx(0.9 * soft + 0.1 * hard, rel=1e-5)


def test_what_a_side_teaches_gets_no_gradient_from_it():
    logits, side = (torch.randn(4, 3, requires_grad=True) for _ in range(2))
    labels = torch.tensor([0, 1, 2, 0])

    surrogate_loss(logits, [side], labels, weight=0.99).backward()

    q, q_side = (torch.softmax(z.detach() / 3, 1) for z in (logits, side))
    soft = 0.99 / 2 * (q - q_side) / 3 / 4  # of KL(q_side || q) alone
    hard = 0.01 / 1.5 * (torch.softmax(logits.detach(), 1) - torch.eye(3)[labels]) / 4
    assert torch.allclose(logits.grad, soft + hard, atol=1e-6)


@pytest.mark.parametrize(
    ("depth", "encoders"),
    [(1, [1]), (2, [1]), (3, [1]), (4, [2, 1]), (5, [2, 1]), (6, [3, 2, 1]), (8, [3, 2, 1, 1])],
)
def test_there_is_a_head_behind_every_second_block_each_shorter_by_one(depth, encoders):
    heads = SurrogateModules(build_network(stmixer(stage(depth)))).heads

    assert [*heads] == [str(2 * i) for i in range(len(encoders))]
    assert [len(head.blocks) for head in heads.values()] == encoders


def test_heads_have_no_neuron_but_gelu():
    heads = SurrogateModules(build_network(stmixer()))

    assert not [m for m in heads.modules() if isinstance(m, Neuron)]
    assert sum(isinstance(m, nn.GELU) for m in heads.modules()) == 1 + 5


def test_a_head_reads_the_mean_over_steps():
    made, x = head(num_steps=3)

    together, once = made(x), made(x.mean(0, keepdim=True))

    assert together.equal(once)


def test_a_head_does_not_mix_samples():
    made, x = head(num_steps=2)
    made.eval()  # batch norm's statistics would
    before = made(x)

    x[:, 1] += 1.0

    assert made(x)[[0, 2]].allclose(before[[0, 2]])
    assert not made(x)[1].allclose(before[1])


def test_with_several_stages_a_head_has_the_width_of_the_stage_it_reads():
    coarse = stage(depth=3, width=16, downsampling="strided_conv")
    network = build_network(stmixer(stage(depth=1), coarse, num_steps=2))
    heads = SurrogateModules(network)

    logits, side = heads(network, torch.rand(2, 1, 8, 8))

    assert [len(each.fc.norm.weight) for each in heads.heads.values()] == [8, 16]
    assert [tuple(z.shape) for z in (logits, *side)] == [(2, 3)] * 3


def test_the_networks_logits_are_its_own():
    network = build_network(stmixer(num_steps=2))
    images = torch.rand(3, 1, 8, 8)

    logits, _ = SurrogateModules(network)(network, images)

    assert logits.equal(network(images))


def test_the_gradient_reaches_the_network_and_every_head():
    torch.manual_seed(0)
    network = build_network(stmixer(stage(4, width=32), num_steps=2))
    heads = SurrogateModules(network)
    logits, side = heads(network, torch.rand(4, 1, 8, 8))

    surrogate_loss(logits, side, torch.tensor([0, 1, 2, 0]), weight=0.9).backward()

    silent = [
        name
        for module in (network, heads)
        for name, p in module.named_parameters()
        if p.grad is None or not p.grad.any()
    ]
    assert silent == []


def test_another_mixer_is_refused_with_a_cure():
    mixed = build_network(stmixer(stage(mixer=("stm", "none"))))

    with pytest.raises(UsageError, match=r"not of 'none'; use only mixer 'stm', or a recipe"):
        SurrogateModules(mixed)


def test_a_module_of_another_kind_is_refused_with_a_cure():
    with pytest.raises(UsageError, match="a Linear does not have; use a network of build_network"):
        SurrogateModules(nn.Linear(2, 2))
