from io import StringIO

from rich.console import Console
from rich.table import Table

from spikenas import hardware
from spikenas.evaluation import State
from spikenas.report import tables
from spikenas.report.figures import spread
from spikenas.store import Store
from spikenas.systems import PUBLISHED


def _printed(table: Table, width: int = 160) -> str:
    page = StringIO()
    Console(file=page, width=width).print(table)
    return page.getvalue()


def test_a_front_shows_percent_units_and_genes(stored):
    with Store.open(stored) as store:
        front = store.run().pareto_front()

    text = _printed(tables.front(front))

    assert "93.0 %" in text
    assert "8.00 µJ" in text
    assert "T4 lif spike sps/2 > 1x16 ssa:2 mlp2" in text


def test_a_part_of_a_front_says_of_how_many(stored):
    with Store.open(stored) as store:
        front = store.run().pareto_front()

    text = _printed(tables.front(spread(front, 2), total=len(front)))

    assert "2 of 4 members" in text
    assert front[0].id in text
    assert front[-1].id in text
    assert front[1].id not in text


def test_states_without_candidates_are_left_out(stored):
    with Store.open(stored) as store:
        counts = store.run().counts()

    text = _printed(tables.counts(counts))

    assert "complete" in text
    assert "timed_out" not in text


def test_every_operation_of_a_workload_has_a_row(stored):
    with Store.open(stored) as store:
        run = store.run()
        workload = run.evaluation(run.candidates(states=[State.COMPLETE])[0]).workload

    text = _printed(tables.operations(workload))

    assert "stem.conv" in text
    assert "9.22k" in text


def test_energy_is_shown_by_operation_with_the_total_last(stored):
    with Store.open(stored) as store:
        run = store.run()
        workload = run.evaluation(run.candidates(states=[State.COMPLETE])[0]).workload
    estimate = hardware.energy_model("cmos45").estimate(workload)

    text = _printed(tables.energy(estimate))

    assert "99.9 %" in text
    assert text.rstrip().splitlines()[-1].startswith("total")


def test_values_that_look_like_markup_are_shown_as_they_are():
    text = _printed(tables.records([{"name": "[red]x[/red]", "value": None}]))

    assert "[red]x[/red]" in text
    assert "-" in text


def test_published_systems_can_be_read_in_a_hundred_columns():
    text = _printed(tables.published(list(PUBLISHED.values())), width=100)

    lines = text.splitlines()
    assert len(lines) <= 2 * len(PUBLISHED)
    assert [line.split()[0] for line in lines if line[0] != " "] == ["name", *PUBLISHED]


def test_a_verdict_tells_the_least_that_is_asked_for_from_the_most_that_is_allowed():
    chip = hardware.chip("xylo_audio2")
    small, large = (
        hardware.check_layers(hardware.parse_layers({"name": name}), chip)
        for name in ("16-8", "16-1001-8")
    )

    assert " at least 2 " in _printed(tables.verdict(small))
    assert "at least" not in _printed(tables.verdict(large))
    assert " 1000 " in _printed(tables.verdict(large))
