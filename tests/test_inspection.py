"""What Python users ask of an architecture without a search."""

import pytest

import spikenas
from spikenas.exceptions import UsageError


@pytest.fixture(scope="module")
def architecture() -> spikenas.Architecture:
    return spikenas.published("stmixer-4-384-cifar10")


def test_a_network_traces_as_its_architecture(architecture: spikenas.Architecture) -> None:
    small = spikenas.SearchSpace.load("toy").sample(0)

    assert spikenas.trace(spikenas.build_network(small)) == spikenas.trace(small)
    assert spikenas.trace(spikenas.trace(architecture)).parameters > 0


def test_a_chip_is_asked_by_name_or_profile(architecture: spikenas.Architecture) -> None:
    verdict = spikenas.check(architecture, "async_generic")

    assert isinstance(verdict, spikenas.Verdict)
    assert spikenas.check(spikenas.trace(architecture), "async_generic") == verdict


def test_energy_needs_a_rate_and_takes_the_knobs_of_its_model(
    architecture: spikenas.Architecture,
) -> None:
    with pytest.raises(UsageError, match=r"spike rates are unknown.*spike_rate=0\.15"):
        spikenas.energy(architecture)

    low = spikenas.energy(architecture, spike_rate=0.1)
    high = spikenas.energy(architecture, "memory_aware", spike_rate=0.1, execution="time_step")

    assert low.total_uj is not None
    assert high.total_uj is not None
    assert 0 < low.total_uj < high.total_uj


def test_something_else_is_named(architecture: spikenas.Architecture) -> None:
    with pytest.raises(UsageError, match="an Architecture, a network of build_network or a Work"):
        spikenas.trace({"genes": 1})  # type: ignore[arg-type]
    rated = spikenas.trace(architecture).with_rate(0.2)
    with pytest.raises(UsageError, match="workload has rates"):
        spikenas.energy(rated, spike_rate=0.1)
