import pytest
from small_workloads import operand, operation, worked_example, workload

from spikenas.hardware import compare, energy_model
from spikenas.workload import Kind, Signal


def network(rate=0.1):
    return workload(operation(Kind.LINEAR, operand(Signal.SPIKES, rate), macs=1000))


def test_both_networks_run_every_multiply_accumulate_once():
    non_spiking, quantised = compare(energy_model("cmos45"), worked_example(), {})

    assert non_spiking.macs == quantised.macs == 1000 + 2000 + 400 + 32 + 100 + 10
    assert non_spiking.energy_uj == pytest.approx(4.6e-6 * non_spiking.macs)
    # 3 bits tell T = 4 spikes apart: three additions a product, but for the 1000 of the image
    assert quantised.bits == 3
    assert quantised.energy_uj == pytest.approx(1e-6 * (4.6 * 1000 + 2.7 * 2542))
    assert "2409.08290" in quantised.priced


def test_the_break_even_rate_is_where_both_cost_as_much():
    model = energy_model("cmos45")

    non_spiking, quantised = compare(model, network(), {})

    assert quantised.break_even_rate == pytest.approx(3 / 4)
    assert model.estimate(network(0.75)).total_uj == pytest.approx(quantised.energy_uj)
    assert non_spiking.break_even_rate == 1.0  # four additions never cost 4.6 pJ
    assert non_spiking.times == pytest.approx(4.6 / (0.9 * 4 * 0.1))


def test_memory_lowers_the_break_even_rate():
    network = worked_example().with_rate(0.1)

    with_memory = compare(energy_model("memory_aware"), network, {})
    without = compare(energy_model("cmos45"), network, {})

    for dear, cheap in zip(with_memory, without, strict=True):
        assert dear.break_even_rate < cheap.break_even_rate


def test_settings_hold_for_the_compared_networks_too():
    model = energy_model("memory_aware")

    wide = compare(model, network(), {})[0]
    narrow = compare(model, network(), {"word_bits": "8"})[0]

    assert narrow.energy_uj < wide.energy_uj


def test_a_chip_prices_no_network_without_spikes_but_counts_it():
    for other in compare(energy_model("loihi1"), network(), {}):
        assert other.macs == 1000
        assert other.energy_uj is other.times is other.break_even_rate is None
        assert "counts only" in other.priced
