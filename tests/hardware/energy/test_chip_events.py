import json

import pytest
from small_workloads import operand, operation, worked_example, workload

from spikenas.exceptions import SpecError
from spikenas.hardware import energy_model, energy_models
from spikenas.workload import Kind, Signal

OWN = """
name = "mine"
title = "My chip"
updates = "every_step"
[readings.lab.synaptic_event]
pj = 2.0
source = "our lab"
grade = "tool"
[readings.lab]
title = "measured in our lab"
"""


def layer(rate=0.25):
    """8 neurons that spike into 100 weights, T = 4; those reach 5 neurons."""
    return workload(
        operation(
            Kind.NEURON, operand(Signal.MEMBRANE, 1.0), neurons=8, spike_rate=rate, name="first"
        ),
        operation(Kind.LINEAR, operand(Signal.SPIKES, rate, source="first"), macs=100, name="fc"),
        operation(
            Kind.NEURON,
            operand(Signal.MEMBRANE, 1.0, source="fc"),
            neurons=5,
            spike_rate=rate,
            name="second",
        ),
    )


def test_loihi_1_costs_events_updates_and_deliveries():
    estimate = energy_model("loihi1").estimate(layer())

    events, updates, delivered = 0.25 * 4 * 100, 4 * 13, 0.25 * 4 * 8
    assert estimate.total_uj * 1e6 == pytest.approx(23.6 * events + 81 * updates + 1.7 * delivered)
    assert estimate.low_uj * 1e6 == pytest.approx(23.6 * events + 52 * updates + 1.7 * delivered)


def test_loihi_1_is_never_shown_as_measured():
    model = energy_model("loihi1")

    for reading in model.knobs["reading"]:
        said = " ".join((model.title, *model.estimate(layer(), reading=reading).assumptions))
        assert "not measured" in said
        assert "before silicon" in said


def test_truenorth_never_adds_static_power_to_an_all_in_figure():
    model = energy_model("truenorth")

    all_in = model.estimate(layer(), reading="all_in")
    marginal = model.estimate(layer(), reading="marginal")

    assert (all_in.static_uj, all_in.total_uj * 1e6) == (0, pytest.approx(26 * 100))
    assert marginal.static_uj == pytest.approx(42 * 4)  # mW for four steps of 1 ms
    assert marginal.total_uj == pytest.approx(42 * 4 + 2.5e-4)
    assert marginal.terms_uj["static power"] == marginal.static_uj
    assert sum(o.share for o in marginal.operations) < 1e-5


def test_a_file_that_mixes_all_in_and_static_is_refused():
    mixed = OWN + (
        "all_in = true\n[readings.lab.static_power]\n"
        'mw = 1.0\nstep_ms = 1.0\nsource = "our lab"\ngrade = "tool"\n'
    )
    from spikenas.hardware.energy.chip_events import ChipEvents  # noqa: PLC0415

    with pytest.raises(SpecError, match="all-in figure holds static_power already"):
        ChipEvents.from_toml(mixed, source="mine.toml")


def test_spinnaker_2_is_a_range_over_both_published_figures():
    model = energy_model("spinnaker2")

    estimate = model.estimate(layer())

    assert estimate.is_range
    assert estimate.low_uj * 1e6 == pytest.approx(10 * 100 + 2190 * 52)
    assert estimate.total_uj * 1e6 == pytest.approx(450 * 100 + 2190 * 52)
    assert model.variants(layer()) == {"end=low": estimate.low_uj, "end=high": estimate.total_uj}


@pytest.mark.parametrize("name", energy_models("score"))
def test_a_chip_without_figures_gives_counts_and_a_score_but_no_joules(name):
    model = energy_model(name)

    estimate = model.estimate(layer())

    assert estimate.total_uj is estimate.low_uj is None
    assert all(o.energy_uj is None and not o.terms_uj for o in estimate.operations)
    assert model.variants(layer()) == {}
    assert estimate.counts["synops"] == 100
    assert estimate.counts["spikes"] == pytest.approx(0.25 * 4 * 13)
    assert estimate.score == pytest.approx(100 + estimate.counts["updates"])
    assert "no joules" in estimate.assumptions[0]


def test_a_score_orders_networks_by_their_events():
    model = energy_model("speck2")

    assert model.estimate(layer(0.1)).score < model.estimate(layer(0.2)).score


def test_currents_that_reach_several_groups_of_neurons_are_paid_for_each():
    branch = operation(Kind.LINEAR, operand(Signal.SPIKES, 0.25), macs=100, name="branch")
    stream = operation(Kind.ADD, operand(Signal.MEMBRANE, 1.0, source="branch"), name="stream")
    readers = [
        operation(
            Kind.NEURON,
            operand(Signal.MEMBRANE, 1.0, source="stream"),
            neurons=8,
            spike_rate=0.0,
            name=name,
        )
        for name in ("one", "two", "three")
    ]

    estimate = energy_model("truenorth").estimate(workload(branch, stream, *readers))

    assert estimate.counts["synops"] == 3 * 0.25 * 4 * 100


def test_pixels_are_an_event_for_each_multiply_accumulate_and_step():
    image = workload(operation(Kind.CONV, operand(Signal.ANALOG, source="input"), macs=1000))

    assert energy_model("truenorth").estimate(image).counts["synops"] == 4000


@pytest.mark.parametrize("name", energy_models())
def test_every_model_prices_every_kind_and_says_whence(name):
    model = energy_model(name)

    estimate = model.estimate(worked_example().with_rate(0.2))

    assert estimate.rates == "assumed"
    assert (estimate.total_uj is None) == (model.unit == "score")
    static_share = estimate.static_uj / estimate.total_uj if estimate.total_uj else 0.0
    assert sum(o.share for o in estimate.operations) + static_share == pytest.approx(1.0)
    if model.unit == "joules":
        assert any("grade: " in said for said in estimate.assumptions)
    json.dumps(estimate.to_dict(), allow_nan=False)


def test_a_chip_of_ones_own_is_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(OWN)

    estimate = energy_model(path).estimate(layer())

    assert estimate.model == "mine"
    assert estimate.total_uj * 1e6 == pytest.approx(200)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("pj = 2.0", "pj = -2.0"), "lab.synaptic_event.pj = -2.0; needed: a number greater than"),
        (("pj = 2.0", "pj = nan"), "lab.synaptic_event.pj = nan; needed: a finite number"),
        (("pj = 2.0", 'pj = "2"'), "lab.synaptic_event.pj = '2'; needed: a number"),
        (('grade = "tool"', 'grade = "tol"'), "event.grade = 'tol'; did you mean 'tool'?; allowed"),
        (('source = "our lab"', ""), "source is missing; its table needs pj, source, grade"),
        (('source = "our lab"', 'source = ""'), "source = ''; needed: text that is not empty"),
        (
            ("pj = 2.0", "pj = 2.0\nlow = 3.0"),
            "low is no key; did you mean 'low_pj'?; known: pj, lo",
        ),
        (('title = "measured', 'tilte = "measured'), "lab.tilte is no key; did you mean 'title'?"),
        (("pj = 2.0", "pj = 2.0\nlow_pj = 3.0"), "event: low_pj = 3 must be below pj = 2"),
        (("readings.lab", "readings.Lab"), "readings.Lab is no name; needed: a small letter"),
        (
            ('updates = "every_step"', ""),
            "updates is missing; its table needs name, title, updates",
        ),
        (("name =", "name"), "not valid TOML"),
    ],
)
def test_a_wrong_file_is_told_with_place_value_and_cure(tmp_path, change, complaint):
    path = tmp_path / "mine.toml"
    path.write_text(OWN.replace(*change))

    with pytest.raises(SpecError) as raised:
        energy_model(path)

    assert str(raised.value).startswith(f"{path}: ")
    assert complaint in str(raised.value)
    assert "Input should" not in str(raised.value)


@pytest.mark.oracle
def test_the_constants_of_chips_are_the_published_ones(shared):
    published = json.loads((shared / "oracles" / "chip_limits.json").read_text())["_energy"]

    def reading(chip, name):
        return energy_model(chip).readings[name]

    davies, keras = reading("loihi1", "davies"), reading("loihi1", "keras_spiking")
    all_in, marginal = reading("truenorth", "all_in"), reading("truenorth", "marginal")
    spinnaker = reading("spinnaker2", "published")
    for price, chip, name in (
        (davies.synaptic_event.pj, "loihi1", "per_synop"),
        (keras.synaptic_event.pj, "loihi1", "keras_spiking_synop"),
        (davies.neuron_update.pj, "loihi1", "neuron_update"),
        (davies.spike_delivery.pj, "loihi1", "within_tile_spike"),
        (all_in.synaptic_event.pj, "truenorth", "per_synop_all_in"),
        (marginal.synaptic_event.low_pj, "truenorth", "per_synop_marginal"),
        (spinnaker.synaptic_event.low_pj, "spinnaker2", "per_synop"),
        (spinnaker.synaptic_event.pj, "spinnaker2", "per_synop_software"),
        (spinnaker.neuron_update.pj, "spinnaker2", "neuron_update"),
    ):
        assert price * 1e-12 == pytest.approx(published[chip][name]["value"]), name
    assert marginal.static_power.mw * 1e-3 == published["truenorth"]["static_power"]["value"]
    assert published["loihi2"]["per_synop"]["value"] is None
    assert published["speck2"]["per_synop"]["value"] is None
