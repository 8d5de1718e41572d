import re
from dataclasses import replace

import pytest

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.exceptions import UsageError
from spikenas.hardware import chip
from spikenas.settings import Limits
from spikenas.strategy.screening import screen, training_memory_gib


def test_an_architecture_within_all_limits_passes_with_its_workload() -> None:
    screening = screen(_architecture(), chip=None, limits=Limits())

    assert not screening.refused
    assert screening.workload is not None
    assert all(margin <= 0 for margin in screening.margins.values())


def test_a_trillion_parameters_are_refused_without_building_them() -> None:
    stage = Stage(embed_dim=2**20, depth=128, mixer=("ssa",), num_heads=2)

    screening = screen(replace(_architecture(), stages=(stage,)), chip=None, limits=Limits())

    assert screening.refused
    assert screening.workload is None
    assert "max_parameters is 200,000,000" in screening.reasons[0]


@pytest.mark.parametrize("part", [0.999999, 0.97, 1e-3, 1e-7])
def test_the_memory_needed_never_reads_as_within_the_limit(part: float) -> None:
    workload = screen(_architecture(), chip=None, limits=Limits()).workload
    assert workload is not None
    limits = Limits(batch_size=1, max_memory_gib=training_memory_gib(workload, 1) * part)

    screening = screen(_architecture(), chip=None, limits=limits)

    shown = re.search(r"about ([\d.,]+) GiB .* max_memory_gib is (\S+);", screening.reasons[0])
    assert shown is not None
    assert float(shown[1].replace(",", "")) > float(shown[2])


def test_too_much_training_memory_is_refused_with_its_estimate() -> None:
    limits = Limits(max_memory_gib=0.001, batch_size=256)

    screening = screen(_architecture(), chip=None, limits=limits)

    assert screening.margins["training_memory"] > 0
    assert "GiB at batch size 256" in screening.reasons[0]


def test_what_the_chip_forbids_is_refused_with_its_cure() -> None:
    screening = screen(_architecture(), chip=chip("async_generic"), limits=Limits())

    assert screening.refused
    assert any("two spike trains are multiplied" in reason for reason in screening.reasons)


def test_the_names_of_the_margins_are_the_same_for_every_architecture() -> None:
    huge = replace(
        _architecture(), stages=(Stage(embed_dim=2**20, depth=128, mixer=("conv",), mlp_ratio=4),)
    )
    architectures = (_architecture(), replace(_architecture(), stem="conv"), huge)

    names = {
        tuple(sorted(screen(each, chip=chip("async_generic"), limits=Limits()).margins))
        for each in architectures
    }

    assert len(names) == 1


def test_limits_of_zero_are_refused() -> None:
    with pytest.raises(UsageError, match="max_parameters = 0"):
        Limits(max_parameters=0)


def _architecture() -> Architecture:
    return Architecture(
        input=InputSpec(channels=1, height=8, width=8),
        num_classes=10,
        num_steps=2,
        neuron="lif",
        residual="spike",
        stem="sps",
        patch_size=2,
        stages=(Stage(embed_dim=16, depth=1, mixer=("ssa",), num_heads=2),),
    )
