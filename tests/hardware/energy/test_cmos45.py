import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_workloads import operand, operation, worked_example, workload

from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.hardware import energy_model
from spikenas.workload import Kind, Signal

# Spikformer on ImageNet as ENERGY.md quotes it: OPs in G, published mJ.
SPIKFORMER_IMAGENET = {
    "8-384": (6.82, 7.734),
    "6-512": (8.69, 9.416),
    "8-512": (11.09, 11.577),
    "10-512": (13.67, 13.899),
    "8-768": (22.09, 21.477),
}
CONV1_MACS = 9 * 3 * 64 * 224 * 224  # that table takes 64 channels for every width


def test_the_worked_example_costs_what_paper_and_pencil_say():
    # per step 1000 + 2000 + 400 + 32 MACs; 2432 of them at rate 1/4 for 4 steps = 2432 SOPs
    accumulates = 0.9 * (2000 + 400 + 32)
    on_counts, head = 0.5 * 4 * 100, 10
    expected = accumulates + 4.6 * (1000 + on_counts + head)

    estimate = energy_model("cmos45").estimate(worked_example())

    assert estimate.total_uj == pytest.approx(expected * 1e-6, rel=1e-12)
    assert sum(op.share for op in estimate.operations) == pytest.approx(1.0)
    assert [op.energy_uj for op in estimate.operations if op.kind is Kind.MAX_POOL] == [0.0]


def test_the_four_variants_differ_by_the_knobs_alone():
    accumulates, first, nonbinary = 2432, 1000, 210

    variants = energy_model("cmos45").variants(worked_example())

    assert {name: uj * 1e6 for name, uj in variants.items()} == pytest.approx(
        {
            "first_layer=once,count_nonbinary_as=mac": 0.9 * accumulates
            + 4.6 * (first + nonbinary),
            "first_layer=once,count_nonbinary_as=ac": 0.9 * (accumulates + nonbinary) + 4.6 * first,
            "first_layer=per_step,count_nonbinary_as=mac": 0.9 * accumulates
            + 4.6 * (4 * first + nonbinary),
            "first_layer=per_step,count_nonbinary_as=ac": 0.9 * (accumulates + nonbinary)
            + 4.6 * 4 * first,
        }
    )


@pytest.mark.parametrize("model", SPIKFORMER_IMAGENET)
def test_published_operations_give_the_published_millijoules(model):
    giga_ops, published_mj = SPIKFORMER_IMAGENET[model]

    energy_uj = energy_model("cmos45").price_uj(synops=giga_ops * 1e9, macs=4 * CONV1_MACS)

    assert energy_uj / 1000 == pytest.approx(published_mj, abs=0.002)


def test_an_estimate_of_the_published_operations_gives_the_same_millijoules():
    giga_ops, published_mj = SPIKFORMER_IMAGENET["8-512"]
    network = workload(
        operation(Kind.CONV, operand(Signal.ANALOG, source="input"), macs=CONV1_MACS),
        operation(Kind.LINEAR, operand(Signal.SPIKES, 0.25), macs=round(giga_ops * 1e9)),
    )

    estimate = energy_model("cmos45").estimate(network, first_layer="per_step")

    assert estimate.total_uj / 1000 == pytest.approx(published_mj, abs=0.002)


@given(st.floats(0, 1), st.floats(0, 1))
def test_energy_grows_with_the_spike_rate(one, other):
    low, high = sorted((one, other))
    variants = energy_model("cmos45").variants

    cheap, dear = variants(worked_example(low)), variants(worked_example(high))

    assert all(cheap[name] <= dear[name] for name in cheap)


@given(st.floats(0, 1))
def test_a_multiply_accumulate_is_never_cheaper_than_an_accumulate(rate):
    variants = energy_model("cmos45").variants(worked_example(rate))

    for first_layer in ("once", "per_step"):
        as_ac, as_mac = (
            variants[f"first_layer={first_layer},count_nonbinary_as={nonbinary}"]
            for nonbinary in ("ac", "mac")
        )
        assert as_ac <= as_mac


def test_a_product_is_a_mac_only_when_neither_factor_is_binary():
    def product_of(left, right):
        return workload(
            operation(Kind.SPIKE_PRODUCT, operand(left, 0.5), operand(right, 0.5), macs=100)
        )

    price = energy_model("cmos45").estimate
    one_binary = price(product_of(Signal.COUNTS, Signal.SPIKES)).total_uj
    none_binary = price(product_of(Signal.COUNTS, Signal.COUNTS)).total_uj

    assert one_binary == pytest.approx(0.9 * 200 * 1e-6)
    assert none_binary == pytest.approx(4.6 * 200 * 1e-6)


def test_an_unmeasured_workload_is_refused_with_the_operation_that_lacks_a_rate():
    unmeasured = workload(operation(Kind.LINEAR, operand(Signal.SPIKES), macs=1, name="blocks.0.q"))

    with pytest.raises(UsageError, match=r"'blocks\.0\.q' does not know the spike rate"):
        energy_model("cmos45").estimate(unmeasured)


def test_a_silent_network_without_an_image_costs_nothing():
    silent = workload(operation(Kind.LINEAR, operand(Signal.SPIKES, 0.0), macs=1))

    estimate = energy_model("cmos45").estimate(silent)

    assert (estimate.total_uj, estimate.operations[0].share) == (0.0, 0.0)


def test_every_assumption_and_constant_is_said_in_words():
    assumptions = energy_model("cmos45").estimate(worked_example()).assumptions

    text = "\n".join(assumptions)
    assert all(part in text for part in ("4.6 pJ", "0.9 pJ", "Horowitz 2014", "grade: paper"))
    assert "computed once" in text
    assert "multiply-accumulate for each non-zero input" in text


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'per_step'"):
        energy_model("cmos45").estimate(worked_example(), first_layer="per-step")


@pytest.mark.oracle
def test_the_constants_are_the_published_ones(shared):
    published = json.loads((shared / "oracles" / "chip_limits.json").read_text())["_energy"]

    model = energy_model("cmos45")

    for constant, name in ((model.mac, "E_MAC_fp32"), (model.ac, "E_AC_fp32")):
        assert constant.value_pj * 1e-12 == pytest.approx(published["cmos45"][name]["value"])
        assert constant.grade == published["cmos45"][name]["grade"]
