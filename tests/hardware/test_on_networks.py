"""The chip check on workloads of networks as they are built, not on made-up ones."""

import resource
import time

import pytest

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.hardware import check, chip
from spikenas.measurement import trace_architecture

IMAGE = InputSpec(channels=3, height=16, width=16)


def verdict(mixer="conv", *, stem="conv", residual="membrane", downsampling=None, **genes):
    stage = {"embed_dim": 16, "depth": 2, "mixer": (mixer,), "num_heads": 2, "mlp_ratio": 2.0}
    stages = [Stage(**stage)]
    if downsampling:
        stages.append(Stage(**stage, downsampling=downsampling))
    architecture = Architecture(
        **{
            "input": IMAGE,
            "num_classes": 10,
            "num_steps": 4,
            "neuron": "if",
            "residual": residual,
            "stem": stem,
            "patch_size": 4,
            "stages": tuple(stages),
            **genes,
        }
    )
    return check(trace_architecture(architecture), chip("async_generic"))


def rules(found):
    return {violation.rule for violation in found.violations}


@pytest.mark.parametrize("mixer", ["stm", "conv", "none"])
@pytest.mark.parametrize("stem", ["conv", "conv_side"])
def test_a_clockless_chip_runs_linear_mixers_behind_convolutions(mixer, stem):
    assert verdict(mixer, stem=stem).fits


@pytest.mark.parametrize("residual", ["spike", "none", "membrane"])
def test_the_residual_alone_refuses_no_network(residual):
    assert verdict(residual=residual).fits


@pytest.mark.parametrize("downsampling", ["strided_conv", "sum_pool"])
def test_strides_and_sums_of_spikes_fit(downsampling):
    assert verdict(residual="spike", downsampling=downsampling).fits


def test_ssa_is_refused_for_both_its_products():
    found = verdict("ssa")

    assert rules(found) == {"spike_product"}
    assert [v.operation.rpartition(".")[2] for v in found.violations] == [
        "similarity",
        "aggregation",
    ] * 2


def test_qk_token_attention_is_refused_for_its_sum_and_its_mask():
    assert rules(verdict("qk_token")) == {"spike_sum_for_mask", "mask"}


def test_sps_is_refused_only_where_it_pools():
    pooled = verdict(stem="sps", residual="spike")
    flat = verdict(stem="sps", residual="spike", patch_size=1)

    assert rules(pooled) == {"max_pool"}
    assert flat.fits


def test_max_pool_downsampling_is_refused():
    assert rules(verdict(residual="spike", downsampling="max_pool")) == {"max_pool"}


@pytest.mark.parametrize("mixer", ["ssa", "qk_token"])
def test_a_time_step_chip_runs_attention(mixer):
    stage = Stage(embed_dim=16, depth=1, mixer=(mixer,), num_heads=2)
    architecture = Architecture(
        input=IMAGE,
        num_classes=10,
        num_steps=4,
        neuron="lif",
        residual="spike",
        stem="sps",
        patch_size=4,
        stages=(stage,),
    )

    assert check(trace_architecture(architecture), chip("sync_generic")).fits


@pytest.mark.parametrize("mixer", ["ssa", "stm", "conv"])
def test_a_network_of_a_trillion_parameters_is_checked_at_once(mixer):
    stage = Stage(embed_dim=2**20, depth=4, mixer=(mixer,), num_heads=64, mlp_ratio=4.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()

    workload = trace_architecture(
        Architecture(
            input=InputSpec(channels=3, height=224, width=224),
            num_classes=1000,
            num_steps=4,
            neuron="if",
            residual="membrane",
            stem="conv",
            patch_size=16,
            stages=(stage,),
        )
    )
    check(workload, chip("async_generic"))

    seconds = time.perf_counter() - started
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert workload.parameters > 10**12
    assert seconds < 5
    assert grown_kib < 500 * 1024
