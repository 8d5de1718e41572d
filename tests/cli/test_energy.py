import json

import pytest
from jsonschema import validate
from matplotlib.image import imread
from typer.main import get_command

from spikenas.cli import app
from spikenas.hardware import energy_model, energy_models
from spikenas.report.figures import count
from spikenas.store import Store

PUBLISHED = "spikformer-4-384-cifar10"


@pytest.fixture
def candidate(stored):
    with Store.open(stored) as store:
        return f"first/{store.run().best('accuracy').id[:8]}"


@pytest.fixture
def priced(spikenas):
    """Return the document of an untrained network at a spike rate of 15 %."""

    def run(*options, arch=PUBLISHED):
        return json.loads(spikenas("energy", arch, "--spike-rate", 0.15, *options, "--json").out)

    return run


@pytest.mark.parametrize("model", energy_models())
def test_a_document_of_every_model_obeys_its_schema(priced, schema, model):
    document = priced("--model", model)

    validate(document, schema("energy"))
    assert document["model"] == model
    assert (document["energy_uj"] is None) == (document["unit"] == "score")


@pytest.mark.parametrize("model", energy_models())
def test_every_model_prints_total_shares_assumptions_and_comparison(spikenas, model):
    ended = spikenas("energy", PUBLISHED, "--model", model, "--spike-rate", 0.15)

    lines = ended.out.splitlines()
    assert f"by {model}" in lines[0]
    assert "spike rates assumed, 15.0 % on average" in lines[0]
    for start in ("total", "non-spiking", "quantised", "assumed: "):
        assert any(line.startswith(start) for line in lines), start


def test_the_energy_of_what_was_never_trained_needs_a_rate(spikenas):
    ended = spikenas("energy", PUBLISHED)

    assert ended.code == 2
    assert "--spike-rate" in ended.err


def test_an_assumed_rate_is_said_to_be_one(spikenas):
    ended = spikenas("energy", PUBLISHED, "--spike-rate", "0.15")

    assert "assumed" in ended.out.splitlines()[0]


def test_measured_rates_win_over_an_assumed_one(spikenas, stored, candidate):
    measured = spikenas("energy", candidate, "--store", stored, "--json")

    both = spikenas("energy", candidate, "--store", stored, "--json", "--spike-rate", "0.9")

    assert json.loads(both.out) == json.loads(measured.out)
    assert json.loads(both.out)["rates"] == "measured"
    assert "not used" in both.err


def test_energy_grows_with_the_assumed_rate(spikenas):
    low, high = (
        json.loads(spikenas("energy", PUBLISHED, "--spike-rate", rate, "--json").out)["energy_uj"]
        for rate in ("0.1", "0.2")
    )

    assert 0 < low < high


def test_ranges_are_shown_as_ranges(spikenas):
    ended = spikenas("energy", PUBLISHED, "--model", "spinnaker2", "--spike-rate", 0.15)

    assert "18.3 to 264 mJ" in ended.out.splitlines()[0]


def test_no_joules_are_shown_where_none_are_known(spikenas):
    ended = spikenas("energy", PUBLISHED, "--model", "loihi2", "--spike-rate", 0.15)

    assert "no joules" in ended.out
    assert "J " not in ended.out.replace("joules", "")


@pytest.mark.parametrize("model", energy_models("score"))
def test_a_score_has_one_unit_in_text_and_json(spikenas, priced, model):
    document = priced("--model", model)
    shown = spikenas("energy", PUBLISHED, "--model", model, "--spike-rate", 0.15).out

    assert f"{count(document['score'])} chip operations" in shown.splitlines()[0]
    assert "score counts chip operations" in shown
    assert "million" not in shown
    assert document["score"] == pytest.approx(sum(o["score"] for o in document["operations"]))


def test_knobs_change_the_figure_and_are_part_of_the_record(priced):
    default, per_step = priced(), priced("--first-layer", "per_step")
    as_ac = priced("--first-layer", "per_step", "--count-nonbinary-as", "ac")

    assert as_ac["energy_uj"] < per_step["energy_uj"]
    assert default["energy_uj"] < per_step["energy_uj"]
    assert as_ac["settings"] == {"first_layer": "per_step", "count_nonbinary_as": "ac"}
    assert as_ac["energy_uj"] == pytest.approx(
        default["variants_uj"]["first_layer=per_step,count_nonbinary_as=ac"]
    )


def test_the_options_are_the_knobs_and_settings_of_the_models_in_python():
    options = {
        option.name: (option.metavar, option.help.partition(":")[0])
        for option in get_command(app).commands["energy"].params
        if option.show_default == "the first"
    }

    expected = {
        knob: ("|".join(settings), model.name)
        for model in map(energy_model, energy_models())
        for knob, settings in model.knobs.items()
        if knob != "reading"  # the names differ by chip
    }

    assert options.pop("reading")[0] == "NAME"
    assert options == expected


@pytest.mark.parametrize(
    ("model", "knob"),
    [(name, knob) for name in energy_models() for knob in energy_model(name).knobs],
)
def test_every_knob_of_a_model_is_handed_on(spikenas, model, knob):
    option = f"--{knob.replace('_', '-')}"

    ended = spikenas("energy", PUBLISHED, "--spike-rate", 0.1, "--model", model, option, "zzz")

    assert ended.code == 2
    assert f"no setting of {knob} is named 'zzz'" in ended.err


def test_readings_of_a_chip_are_told_apart(priced):
    all_in = priced("--model", "truenorth")
    marginal = priced("--model", "truenorth", "--reading", "marginal")

    assert (all_in["static_uj"], marginal["static_uj"]) == (0, 168)
    assert all_in["settings"] == {"reading": "all_in"}


def test_networks_of_equal_size_stand_beside(priced):
    non_spiking, quantised = priced()["comparison"]

    assert non_spiking["energy_uj"] > quantised["energy_uj"]
    assert (non_spiking["bits"], quantised["bits"]) == (None, 3)
    assert 0 < quantised["break_even_rate"] < non_spiking["break_even_rate"] < 1


@pytest.mark.parametrize("model", ["cmos45", "memory_aware", "spinnaker2", "truenorth", "loihi2"])
def test_the_energy_is_drawn(spikenas, tmp_path, model):
    path = tmp_path / "new" / "energy.png"
    reading = ["--reading", "marginal"] if model == "truenorth" else []

    ended = spikenas(
        "energy", PUBLISHED, "--model", model, *reading, "--spike-rate", 0.15, "--plot", path
    )

    assert ended.code == 0
    assert str(path) in ended.err
    assert imread(path).std() > 0.01


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--model", "cmos54", "--spike-rate", 0.1], "cmos45"),
        (["--spike-rate", 1.5], "--spike-rate"),
        (["--spike-rate", 0.1, "--first-layer", "twice"], "known: once, per_step"),
        (["--spike-rate", 0.1, "--reading", "davies"], "it has: first_layer, count_nonbinary_as"),
        (["--spike-rate", 0.1, "--plot", "energy.pdf"], "ending in .png"),
        (
            ["--spike-rate", 0.1, "--model", "memory_aware", "--execution", "event_driven"],
            "stages.0.0.sub_blocks.0.branch.attention.similarity",
        ),
    ],
)
def test_wrong_usage_is_said(spikenas, options, complaint):
    ended = spikenas("energy", PUBLISHED, *options)

    assert ended.code == 2
    assert complaint in ended.err
    assert ended.out == ""
