import hashlib
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load
from torch import Tensor, nn

from spikenas.data import DataSpec, ImageSet, Splits
from spikenas.data import load as load_data
from spikenas.exceptions import ArtefactError, DataError, DivergedError, UsageError
from spikenas.training import Epoch, TrainingResult, recipe, train

RECIPE = recipe(
    "spikformer-cifar10", epochs=4, batch_size=16, mixup_off_epoch=3, gradient_clip=1.0, cutmix=1.0
)


def network(seed: int = 0, classes: int = 10) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Dropout(0.1),  # draws from the global generator
            nn.Flatten(),
            nn.Linear(16 * 64, classes),
        )


@pytest.fixture(scope="module")
def digits() -> Splits:
    return load_data(DataSpec(name="digits"))


@pytest.fixture(scope="module")
def few() -> ImageSet:
    return load_data(DataSpec(name="digits", train_subset=70)).train


def weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first | second)


def digest(state: dict[str, Tensor]) -> str:
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in state.values())).hexdigest()


def trained(few: ImageSet, **settings: Any) -> tuple[dict[str, Tensor], TrainingResult]:
    net = network()
    result = train(net, few, RECIPE, **{"seed": 1, **settings})
    return weights(net), result


@torch.no_grad()
def accuracy(net: nn.Module, images: ImageSet) -> float:
    net.eval()
    hits = [(net(x).argmax(1) == y).float().sum() for x, y in images.batches(256)]
    return float(sum(hits)) / len(images)


def test_a_small_network_learns_the_digits(digits: Splits) -> None:
    net = network()

    result = train(net, digits.train, recipe("digits"), seed=0)

    assert accuracy(net, digits.validation) > 0.93
    assert [record["epoch"] for record in result.history] == list(range(1, 9))
    assert result.history[-1]["loss"] < result.history[0]["loss"] / 2


def test_equal_seeds_give_equal_weights_and_others_do_not(few: ImageSet) -> None:
    before = torch.get_rng_state()

    first, second, other = (trained(few, seed=seed)[0] for seed in (1, 1, 2))

    assert same(first, second)
    assert not same(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_state_of_the_global_generator_does_not_matter(few: ImageSet) -> None:
    first, _ = trained(few)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        second, _ = trained(few)

    assert same(first, second)


PROGRAM = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("here", sys.argv[1])
here = importlib.util.module_from_spec(spec)
spec.loader.exec_module(here)
few = here.load_data(here.DataSpec(name="digits", train_subset=70)).train
weights, _ = here.trained(few)
print(here.digest(weights))
"""


def test_another_process_trains_to_equal_weights(few: ImageSet) -> None:
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).resolve())]

    other = subprocess.run(command, check=True, capture_output=True, text=True)

    assert other.stdout.strip() == digest(trained(few)[0])


@pytest.mark.parametrize("stopped", [1, 3])
def test_a_resumed_training_equals_the_undisturbed_one(few: ImageSet, stopped: int) -> None:
    whole, result = trained(few)
    _, part = trained(few, stop_after=stopped)
    resumed = network(seed=5)

    end = train(resumed, few, RECIPE, seed=1, checkpoint=part.checkpoint)

    assert len(part.history) == stopped
    assert same(weights(resumed), whole)
    assert [r["loss"] for r in end.history] == [r["loss"] for r in result.history]
    assert same(load(end.checkpoint), load(result.checkpoint))


def test_a_checkpoint_of_other_settings_is_refused(few: ImageSet) -> None:
    _, part = trained(few, stop_after=1)

    with pytest.raises(UsageError, match="other settings: epochs 4 there, 7 here; seed 1 there"):
        train(network(), few, RECIPE, epochs=7, seed=3, checkpoint=part.checkpoint)


def test_a_checkpoint_of_another_network_is_refused(few: ImageSet) -> None:
    _, part = trained(few, stop_after=1)

    with pytest.raises(ArtefactError, match="of another network"):
        train(network(classes=11), few, RECIPE, seed=1, checkpoint=part.checkpoint)


@pytest.mark.parametrize("kept", [0, 5, 2_000, -1])
def test_a_damaged_checkpoint_is_refused(few: ImageSet, kept: int) -> None:
    _, part = trained(few, stop_after=1)

    with pytest.raises(ArtefactError, match="damaged"):
        train(network(), few, RECIPE, seed=1, checkpoint=part.checkpoint[:kept])


def test_a_non_finite_loss_is_a_typed_failure(few: ImageSet) -> None:
    net = network()
    with torch.no_grad():
        net[5].weight[0, 0] = math.inf  # type: ignore[index]  # a Linear

    with pytest.raises(DivergedError, match=r"diverged in epoch 1, step 1: loss (nan|inf)"):
        train(net, few, RECIPE, seed=0)


class Explosive(torch.autograd.Function):
    """Passes its input on, and a gradient beyond all bounds back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * math.inf


class ExplosiveLayer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Explosive.apply(x)  # type: ignore[no-any-return,no-untyped-call]  # torch's


def test_a_non_finite_gradient_is_caught_before_it_reaches_the_weights(few: ImageSet) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), ExplosiveLayer())
    before = weights(net)

    with pytest.raises(DivergedError, match="gradient norm"):
        train(net, few, RECIPE, seed=0)

    assert same(weights(net), before)


def test_norms_and_biases_do_not_decay(few: ImageSet) -> None:
    net = network()
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    still = recipe("digits", epochs=1, batch_size=32, weight_decay=1.0, warmup_epochs=0)
    net[5].register_full_backward_pre_hook(lambda *_: (torch.zeros(32, 10),))  # type: ignore[index]

    train(net, few, still, seed=0)

    decayed = {name for name, p in net.named_parameters() if float(p.detach().mean()) < 0.999}
    assert decayed == {"0.weight", "5.weight"}


def test_every_epoch_is_told_as_it_ends(few: ImageSet) -> None:
    told: list[Epoch] = []

    _, result = trained(few, epochs=2, on_epoch=told.append)

    assert [(epoch.epoch, epoch.epochs) for epoch in told] == [(1, 2), (2, 2)]
    assert [record["loss"] for record in result.history] == [epoch.loss for epoch in told]


def test_a_set_smaller_than_a_batch_is_one_batch() -> None:
    few = load_data(DataSpec(name="digits", train_subset=20)).train

    result = train(network(), few, recipe("digits", batch_size=256), epochs=1, seed=0)

    assert math.isfinite(result.history[0]["loss"])


def test_one_image_is_too_few() -> None:
    few = load_data(DataSpec(name="digits", train_subset=70)).train
    one = replace(few, images=few.images[:1], labels=few.labels[:1])

    with pytest.raises(DataError, match="at least 2 images"):
        train(network(), one, RECIPE, seed=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_network_on_the_gpu_is_trained_and_resumed_there(few: ImageSet) -> None:
    net, resumed = network().cuda(), network(seed=5).cuda()
    part = train(net, few, RECIPE, seed=1, stop_after=2)

    result = train(resumed, few, RECIPE, seed=1, checkpoint=part.checkpoint)

    assert next(resumed.parameters()).is_cuda
    assert [math.isfinite(record["loss"]) for record in result.history] == [True] * 4
