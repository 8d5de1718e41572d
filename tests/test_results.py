"""The pages of results say what their scripts print."""

import importlib.util
from pathlib import Path

import pytest

from spikenas.measurement import trace_architecture

RESULTS = Path(__file__).parents[1] / "docs" / "results"


def script(name):
    spec = importlib.util.spec_from_file_location(name, RESULTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def energies():
    return script("published_energies")


@pytest.fixture(scope="module")
def page():
    return (RESULTS / "2026-11-24-energies.md").read_text(encoding="utf-8").splitlines()


def test_the_five_rows_of_spikformer_are_reproduced_to_two_microjoules(energies, page):
    rows = list(energies.reproduced())

    assert [row for row in rows if row not in page] == []
    assert len(rows) == 2 + 5
    assert all(abs(float(row.split("|")[-2])) <= 0.002 for row in rows[2:])


def test_a_needed_rate_gives_the_printed_energy(energies):
    printed = next(iter(energies.printed()))
    workload = trace_architecture(printed.architecture)

    rate = energies.needed_rate(workload, printed.energy_mj, first_layer="once", nonbinary="mac")

    found = energies.CMOS45.estimate(workload.with_rate(rate), first_layer="once")
    assert found.total_uj / 1000 == pytest.approx(printed.energy_mj)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["needed", "break_even"])
def test_the_other_tables_are_what_the_script_prints(energies, page, table):
    assert [row for row in getattr(energies, table)() if row not in page] == []


def test_the_parts_that_fit_are_counted_and_drawn(tmp_path):
    fits = script("fits")
    counts = fits.fitting("toy", members=4)

    rows = fits.table({"toy": counts}, members=4)
    fits.plot({"toy": counts}, tmp_path / "fits.png", members=4)

    assert counts["spinnaker2"] == 4
    assert counts["speck2"] == 0
    assert "| 100 |" in rows[-1]
    assert (tmp_path / "fits.png").stat().st_size > 1000
