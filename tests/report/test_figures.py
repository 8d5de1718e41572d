import pytest

from spikenas.report.figures import count, duration, energy_range, genes, text


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("accuracy", 0.97249, "97.2 %"),
        ("spike_rate", 0.125, "12.5 %"),
        ("energy_uj", 8.02e-6, "8.02 pJ"),
        ("energy_uj", 0.0343, "34.3 nJ"),
        ("energy_uj", 0.41234, "412 nJ"),
        ("energy_uj", 0.99949, "999 nJ"),
        ("energy_uj", 0.99951, "1.00 µJ"),
        ("energy_uj", 2.5e6, "2.50 J"),
        ("energy_uj", 0.0, "0 J"),
        ("energy_uj", 11_577.0, "11.6 mJ"),
        ("energy_uj", 1_508.0, "1.51 mJ"),
        ("energy_uj", 151_000.0, "151 mJ"),
        ("parameters", 9_324_362, "9.32M"),
        ("latency_steps", 4, "4"),
        ("test_accuracy", None, "-"),
    ],
)
def test_a_figure_is_shown_with_its_unit(name, value, expected):
    assert text(name, value) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (2.3, 2.5, "2.30 to 2.50 µJ"),
        (53.1, 2390, "53.1 µJ to 2.39 mJ"),
        (4.0, 4.0, "4.00 µJ"),
        (0.5, 2.0, "500 nJ to 2.00 µJ"),
    ],
)
def test_a_range_shows_both_ends(low, high, expected):
    assert energy_range(low, high) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (999, "999"), (48_500, "48.5k"), (2e6, "2M"), (3.5e9, "3.5G")],
)
def test_a_large_count_is_shown_with_three_digits(value, expected):
    assert count(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0:00"), (89.6, "1:30"), (3723, "1:02:03")]
)
def test_a_duration_reads_like_a_clock(seconds, expected):
    assert duration(seconds) == expected


def test_the_genes_of_an_architecture_fit_on_one_line():
    line = genes(_genotype(mixer="ssa", num_heads=12))

    assert line == "T4 lif spike sps/4 > 4x384 ssa:12 mlp4"


def test_genes_name_each_mixer_of_a_stage_once():
    line = genes(_genotype(mixer=["ssa", "ssa", "conv", "none"], num_heads=8))

    assert line.endswith("4x384 ssa+conv+none:8 mlp4")


def test_genes_of_a_component_that_is_not_installed_are_shown_too():
    line = genes(_genotype(mixer="of_a_plugin"))

    assert line.endswith("4x384 of_a_plugin mlp4")


def _genotype(**stage):
    return {
        "num_steps": 4,
        "neuron": "lif",
        "residual": "spike",
        "stem": "sps",
        "patch_size": 4,
        "head": "mean_linear",
        "stages": [{"embed_dim": 384, "depth": 4, "mlp_ratio": 4.0, **stage}],
    }
