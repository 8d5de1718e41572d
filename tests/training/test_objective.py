from dataclasses import replace

import pytest
import torch
from safetensors.torch import load
from torch import nn
from torch.nn.functional import cross_entropy

from spikenas.architecture import Architecture, Halting, InputSpec, Stage
from spikenas.data import DataSpec
from spikenas.data import load as load_data
from spikenas.evaluation import State
from spikenas.evaluator import Job, evaluate
from spikenas.exceptions import UsageError
from spikenas.nn.network import build_network
from spikenas.nn.residuals import MembraneResidual, SpikeResidual
from spikenas.training import recipe, train
from spikenas.training.objective import TrainingObjective

STMIXER = Architecture(
    input=InputSpec(channels=1, height=8, width=8),
    num_classes=10,
    num_steps=1,
    neuron="stmixer_lif",
    residual="membrane",
    stem="conv_side",
    patch_size=2,
    stages=(Stage(embed_dim=16, depth=2, mixer=("stm",), num_heads=2, mlp_ratio=1.0),),
)
HALTING = replace(
    STMIXER,
    num_steps=2,
    neuron="lif",
    tau=2.0,
    residual="spike",
    stem="i_sps",
    stages=(Stage(embed_dim=16, depth=3, mixer=("ssa",), num_heads=2, mlp_ratio=1.0),),
    halting=Halting(threshold=1.0, ponder_cost=0.1),
)
SHORT = recipe("digits", epochs=2, warmup_epochs=0)
SML = recipe("digits", epochs=2, warmup_epochs=0, surrogate_module_learning=0.9)


@pytest.fixture(scope="module")
def few():
    return load_data(DataSpec(name="digits", train_subset=70)).train


def network(architecture=STMIXER, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(architecture)


def batch():
    return torch.rand(6, 1, 8, 8), torch.tensor([0, 1, 2, 3, 4, 5])


def drops(net):
    joined = (m for m in net.modules() if isinstance(m, MembraneResidual | SpikeResidual))
    return [m.drop_probability for m in joined]


def same(first, second):
    return all(first[name].equal(second[name]) for name in first | second)


def test_without_side_heads_the_loss_is_cross_entropy():
    net, (images, labels) = network(), batch()

    loss = TrainingObjective(net, SHORT)(images, labels)

    expected = cross_entropy(net(images), labels, label_smoothing=SHORT.label_smoothing)
    assert loss.total.equal(expected)
    assert loss.ponder is None


def test_any_module_has_an_objective():
    images, labels = batch()
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    objective = TrainingObjective(net, SHORT)

    assert objective(images, labels).total.isfinite()
    assert {*objective.parameters()} == {*net.parameters()}


def test_ponder_is_added_by_its_cost():
    net, (images, labels) = network(HALTING), batch()

    loss = TrainingObjective(net, SHORT)(images, labels)

    logits, rho = net.with_ponder(images)
    task = cross_entropy(logits, labels, label_smoothing=SHORT.label_smoothing)
    assert loss.ponder.equal(rho)
    assert loss.total.allclose(task + 0.1 * rho)


def test_ponder_pushes_the_scores_up():
    free = replace(HALTING, halting=replace(HALTING.halting, ponder_cost=0.0))
    images, labels = batch()
    gradients = []

    for architecture in (free, HALTING):
        net = network(architecture)
        scores = []
        for score in net.halting.scores:
            score.register_forward_hook(
                lambda *a, kept=scores: a[2].retain_grad() or kept.append(a[2])
            )
        TrainingObjective(net, SHORT)(images, labels).total.backward()
        gradients.append(torch.stack([score.grad for score in scores]))

    added = gradients[1] - gradients[0]
    assert added.max() <= 1e-8
    assert added.min() < 0


def test_every_epoch_tells_its_mean_ponder(few):
    history = train(network(HALTING), few, SHORT, seed=0).history

    assert all(0 < record["ponder"] <= 4 / 3 for record in history)
    assert "ponder" not in train(network(), few, SHORT, epochs=1, seed=0).history[0]


def test_a_dearer_ponder_halts_tokens_earlier(few):
    dear = replace(HALTING, halting=Halting(threshold=1.0, ponder_cost=10.0))

    cheap, dear = (
        train(network(a), few, SHORT, epochs=4, seed=0).history[-1]["ponder"]
        for a in (HALTING, dear)
    )

    assert dear < cheap


def test_stochastic_depth_is_on_while_training_and_off_behind_it(few):
    net, seen = network(), []

    train(
        net,
        few,
        replace(SHORT, stochastic_depth=0.5),
        seed=0,
        on_epoch=lambda _: seen.append(drops(net)),
        epochs=1,
    )

    assert drops(net) == [0.0] * 4
    assert not same(trained(few, replace(SHORT, stochastic_depth=0.5)), trained(few, SHORT))


def trained(few, settings):
    net = network()
    train(net, few, settings, epochs=1, seed=0)
    return net.state_dict()


def test_stochastic_depth_drops_more_of_later_blocks():
    objective = TrainingObjective(network(HALTING), replace(SHORT, stochastic_depth=0.5))

    with objective.dropping_blocks():
        rates = drops(objective.network)

    assert rates == [0.0, 0.0, 0.25, 0.25, 0.5, 0.5]
    assert drops(objective.network) == [0.0] * 6


@pytest.mark.parametrize(
    "architecture",
    [
        replace(HALTING, residual="none"),
        replace(STMIXER, stages=(replace(STMIXER.stages[0], depth=1, mixer=("stm",)),)),
    ],
    ids=["no residual", "one block"],
)
def test_stochastic_depth_that_drops_nothing_is_said(caplog, architecture):
    TrainingObjective(network(architecture), replace(SHORT, stochastic_depth=0.5))

    assert "stochastic_depth = 0.5 is not used" in caplog.text


def test_stochastic_depth_ends_when_training_fails(few):
    net = network()

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(net, few, replace(SHORT, stochastic_depth=0.5), seed=0, on_epoch=stop)

    assert drops(net) == [0.0] * 4


def test_stochastic_depth_of_a_module_without_blocks_is_refused_with_a_cure():
    with pytest.raises(UsageError, match="use a network of build_network, or stochastic_depth"):
        TrainingObjective(nn.Linear(2, 2), replace(SHORT, stochastic_depth=0.5))


def test_a_resumed_training_with_side_heads_equals_the_undisturbed_one(few):
    whole, resumed = network(), network(seed=5)
    result = train(whole, few, SML, seed=1)
    part = train(network(), few, SML, seed=1, stop_after=1)

    end = train(resumed, few, SML, seed=1, checkpoint=part.checkpoint)

    assert same(resumed.state_dict(), whole.state_dict())
    assert same(load(end.checkpoint), load(result.checkpoint))
    assert "weights.surrogates.heads.0.fc.linear.weight" in load(end.checkpoint)


def test_side_heads_do_not_depend_on_the_state_of_the_global_generator(few):
    first = train(network(), few, SML, epochs=1, seed=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        second = train(network(), few, SML, epochs=1, seed=1)

    assert same(load(first.checkpoint), load(second.checkpoint))


def test_side_heads_are_trained_and_end_with_the_training(few):
    net, names = network(), {*network().state_dict()}

    frozen = replace(SML, learning_rate=0.0, warmup_learning_rate=0.0, min_learning_rate=0.0)
    before = load(train(network(), few, frozen, epochs=1, seed=1).checkpoint)
    after = load(train(net, few, SML, epochs=1, seed=1).checkpoint)

    assert {*net.state_dict()} == names
    weight = "weights.surrogates.heads.0.blocks.0.sub_blocks.0.branch.mixing.weight"
    assert not after[weight].equal(before[weight])


@pytest.mark.parametrize(("architecture", "settings"), [(STMIXER, SML), (HALTING, SHORT)])
def test_the_weights_of_a_job_are_those_of_the_network_alone(architecture, settings):
    outcome = evaluate(
        Job(
            id="one/1",
            architecture=architecture,
            data=DataSpec(name="digits", train_subset=128),
            recipe=settings,
            epochs=1,
            seed=0,
            energy_model="cmos45",
        )
    )

    assert outcome.state is State.COMPLETE, outcome.traceback
    assert {*load(outcome.weights)} == {*build_network(architecture).state_dict()}
    assert ("ponder" in outcome.evaluation.history[0]) == (architecture is HALTING)
