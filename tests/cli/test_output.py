"""Tables in a pipe and at any width: nothing is cut, whatever there is room for."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from spikenas.cli.output import print_table
from spikenas.report import tables

PUBLISHED = "spikformer-4-384-cifar10"
COMMANDS = [
    ("published",),
    ("chips",),
    ("spaces",),
    ("show", PUBLISHED, "--workload"),
    ("check", PUBLISHED, "--chip", "all"),
    ("check", PUBLISHED, "--chip", "speck2"),
    ("energy", PUBLISHED, "--spike-rate", "0.1"),
]
OF_STORES = [("runs",), ("status",), ("pareto",)]


def characters(text):
    return Counter("".join(text.split()))


@pytest.mark.parametrize("command", [*COMMANDS, *OF_STORES], ids=" ".join)
@pytest.mark.parametrize("columns", [80, 200])
def test_a_table_keeps_to_columns_and_loses_nothing(
    spikenas, monkeypatch, stored, command, columns
):
    given = (*command, "--store", stored) if command in OF_STORES else command
    whole = spikenas(*given).out
    monkeypatch.setenv("COLUMNS", str(columns))

    narrow = spikenas(*given).out

    sentences = {line for line in whole.splitlines() if line in narrow.splitlines()}
    assert all(len(line) <= columns for line in narrow.splitlines() if line not in sentences)
    assert not characters(whole) - characters(narrow)
    assert "…" not in whole + narrow


def test_a_row_in_a_pipe_is_one_line(spikenas):
    rows = spikenas("check", PUBLISHED, "--chip", "all").out.splitlines()

    assert len([row for row in rows if "clockless" in row or "time step" in row]) == len(rows) - 2


def test_a_row_is_a_block_of_lines_where_columns_would_be_too_narrow(spikenas, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    out = spikenas("show", PUBLISHED, "--workload").out

    assert "operation  stem.stages.0.0.conv\nkind       conv\n" in out


@given(
    st.lists(
        st.fixed_dictionaries(
            {name: st.text("abc -/[]", max_size=60) for name in ("operation", "kind", "cure")}
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(min_value=1, max_value=120),
)
@hypothesis_settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_character_is_lost_at_any_width(capsys, rows, columns):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COLUMNS", str(columns))
        print_table(tables.records(rows))

    out = capsys.readouterr().out
    assert not characters("".join(value for row in rows for value in row.values())) - characters(
        out
    )


@pytest.mark.parametrize("columns", ["0", "wide", ""])
def test_columns_that_are_no_width_are_as_if_absent(spikenas, monkeypatch, columns):
    whole = spikenas("published").out
    monkeypatch.setenv("COLUMNS", columns)

    assert spikenas("published").out == whole
