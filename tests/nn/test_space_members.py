"""Whatever a shipped space holds can be built, run, trained and costed."""

from dataclasses import replace

import pytest
import torch

from spikenas.architecture import InputSpec
from spikenas.hardware import check, chip
from spikenas.measurement import trace_architecture
from spikenas.nn.network import build_network
from spikenas.search_space import SearchSpace

SPACES = ["unified_cifar10", "event_driven", "stas_cifar10", "dvs"]
DRAWS = 60


def drawn(name: str, size: int) -> list:
    space = SearchSpace.load(name)
    small = replace(space.input, height=size, width=size)
    space = space.with_input(small, space.num_classes)
    return [space.sample(seed) for seed in range(DRAWS)]


def images(spec: InputSpec, num_steps: int) -> torch.Tensor:
    steps = (num_steps,) if spec.kind == "events" else ()
    shape = (2, *steps, spec.channels, spec.height, spec.width)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SPACES)
def test_every_member_runs_forward_and_backward_on_small_images(name):
    for architecture in drawn(name, 16):
        torch.manual_seed(0)
        network = build_network(architecture).train()

        logits, ponder = network.with_ponder(images(architecture.input, architecture.num_steps))
        (logits.square().sum() + (0.0 if ponder is None else ponder)).backward()

        assert logits.shape == (2, architecture.num_classes)
        assert (ponder is None) == (architecture.halting is None)
        lacking = [n for n, p in network.named_parameters() if p.grad is None]
        assert not lacking, f"{architecture}: no gradient for {lacking}"
        with torch.no_grad():
            assert (
                network.eval()(images(architecture.input, architecture.num_steps)).isfinite().all()
            )


@pytest.mark.parametrize("name", SPACES)
def test_every_member_has_a_workload_of_all_its_parameters(name):
    space = SearchSpace.load(name)
    for seed in range(DRAWS):
        architecture = space.sample(seed)

        workload = trace_architecture(architecture)

        trained = sum(operation.weights + operation.biases for operation in workload.operations)
        assert trained == workload.parameters
        assert workload.macs > 0
        assert workload.with_rate(0.2).is_measured


def test_every_member_of_event_driven_fits_a_chip_without_a_clock():
    space = SearchSpace.load("event_driven")
    clockless = chip("async_generic")

    verdicts = [check(trace_architecture(space.sample(seed)), clockless) for seed in range(DRAWS)]

    assert all(verdict.fits for verdict in verdicts)
