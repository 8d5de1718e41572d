import operator
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from spikenas.evaluation import State
from spikenas.exceptions import UsageError
from spikenas.store import Store
from spikenas.store.schema import metadata
from spikenas.store.where import COLUMNS, compile_where

_quick = settings(max_examples=60, deadline=None)
_OPERATORS = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_PIECES = [
    *COLUMNS,
    *_OPERATORS,
    *("and", "or", "not", "in", "(", ")", ",", "'lif'", '"', "'", "0.9", "1e400", "-3", "9" * 30),
    *(";", "--", "/*", "DROP TABLE runs", "%s", ":x", "\x00", "\ud800", "\xa0", "\n", "é", "null"),
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request, tmp_path_factory):
    """A store of this module's own: its tests only read."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('where')}/runs.db"
    else:
        url = request.getfixturevalue("postgresql").new_database()
    with Store.open(url) as store:
        yield store


@pytest.fixture(scope="module")
def run(store, train, architecture):
    """Three complete candidates of accuracy 0.7, 0.8, 0.9 and T 1, 2, 3, and one queued."""
    objectives = ("accuracy", "energy_uj")
    writer = store.begin_run("first", settings={}, space_toml="", seed=7, objectives=objectives)
    for number in range(3):
        accuracy = (7 + number) / 10
        train(writer, number, accuracy=accuracy, energy_uj=2.0**number)
    other = architecture(num_steps=8, neuron="if", v_threshold=0.5)
    writer.add(3, other, {}, state=State.QUEUED, margins={}, reuse_key="k")
    return writer.run


def _numbers(run, where):
    return [candidate.number for candidate in run.candidates(where=where)]


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ("accuracy > 0.75 and energy_uj < 4", [1]),
        ("accuracy>0.75 and(energy_uj<4)", [1]),
        ("accuracy < .75 or accuracy >= 0.9", [0, 2]),
        ("not accuracy < 0.75", [1, 2]),
        ("not (accuracy < 0.75 or energy_uj = 4)", [1]),
        ("accuracy = 0.7 or accuracy = 0.8 and energy_uj > 3", [0]),  # and binds closer
        ("(accuracy = 0.7 or accuracy = 0.8) and energy_uj < 3", [0, 1]),
        ("0.7 < accuracy < 0.9", [1]),
        ("1 <= energy_uj <= 2", [0, 1]),
        ("num_steps in (1, 3)", [0, 2]),
        ("num_steps not in (1, 3)", [1, 3]),
        ("neuron = 'if'", [3]),
        ('neuron != "if" AND NOT number IN (0)', [1, 2]),
        ("neuron in ('if', 'lif')", [0, 1, 2, 3]),
        ("state = 'queued'", [3]),
        ("state != 'queued'", [0, 1, 2]),
        ("energy_uj > num_steps", [2]),
        ("test_accuracy < 1", []),  # an unknown figure is neither below
        ("not test_accuracy < 1", []),  # nor not below
        ("accuracy > -1e-3", [0, 1, 2]),
        ("accuracy < 1e400", [0, 1, 2]),
        ("parameters < 99999999999999999999", [0, 1, 2]),
        ("head = 'mean_linear' and stem = 'sps' and residual = 'spike' and number = 0", [0]),
        ("patch_size = 2 and num_stages = 1 and fidelity = 8 and seed = 7 and number < 2", [0, 1]),
        ("spike_rate = .25 and synops = 160. and macs > 1 and latency_steps = 4", [0, 1, 2]),
        ("wall_seconds >= 2 and neuron = 'x; DROP TABLE runs'", []),
    ],
)
def test_a_filter_leaves_what_it_says(run, where, numbers):
    assert _numbers(run, where) == numbers


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("acuracy > 0.9", "position 1: 'acuracy' is not a column; did you mean 'accuracy'?"),
        ("accuracy > 0.9 and energy < 5", "position 20: 'energy' is not a column; did you mean"),
        ("neuron = lif", "position 10: 'lif' is not a column"),
        ("", "position 1: found the end; needed: a column, a number or a quoted word"),
        ("accuracy", "position 9: found the end; needed: a comparison: = != < <= > >= in"),
        ("accuracy >", "position 11: found the end; needed: a column"),
        ("accuracy > 0.9 energy_uj < 5", "position 16: found 'energy_uj'; needed: 'and', 'or'"),
        ("(accuracy > 0.9", "position 16: found the end; needed: ')'"),
        ("accuracy > 0.9)", "position 15: found ')'; needed: 'and', 'or' or the end"),
        ("accuracy > 'high'", "position 12: found \"'high'\"; needed: a number to compare with"),
        ("neuron = 3", "position 10: found '3'; needed: a quoted word to compare with neuron"),
        ("accuracy = neuron", "position 12: found 'neuron'; needed: a number to compare"),
        ("1 < 2", "position 1: found '1'; needed: a column on one side"),
        ("state = 'compleet'", "'compleet' is not a state; did you mean 'complete'?"),
        ("num_steps in ()", "position 15: found ')'; needed: a column, a number"),
        ("num_steps in (1, seed)", "position 18: found 'seed'; needed: a number or a quoted word"),
        ("num_steps not 3", "position 15: found '3'; needed: 'in'"),
        ("1 < accuracy < 2 < 3", "position 18: found '<'; needed: 'and', 'or' or the end"),
        ("accuracy > 0.9; DROP TABLE runs", "position 15: found '; DROP TAB'"),
        ("accuracy > 90%", "position 14: found '%'; needed"),
        ("neuron = 'lif", 'position 10: found "\'lif"'),
        ("neuron = 'a\x00b'", "needed: printable text"),
        ("not " * 30 + "seed = 1", "needed: at most 20 levels of ( ) and not"),
        ("(" * 21 + "seed = 1" + ")" * 21, "needed: at most 20 levels of ( ) and not"),
        ("seed = 1 or " * 300, "the filter has 3600 characters; at most 2000 are read"),
    ],
)
def test_a_filter_that_says_nothing_is_named_with_its_place(where, complaint):
    with pytest.raises(UsageError, match=re.escape(complaint)):
        compile_where(where)


def test_the_longest_filters_are_within_what_the_databases_bear(run):
    many = " or ".join(["seed=1"] * 199)
    deep = "(" * 19 + "seed = 7" + ")" * 19
    wide = f"seed in ({','.join('7' for _ in range(900))})"

    assert _numbers(run, many) == []
    assert _numbers(run, deep) == [0, 1, 2]
    assert _numbers(run, wide) == [0, 1, 2]


@_quick
@given(
    where=st.one_of(
        st.text(max_size=80),
        st.lists(st.sampled_from(_PIECES), max_size=12).map(" ".join),
    )
)
@example(where="'; DROP TABLE runs; --")
@example(where="accuracy > 0.5 or 1=1; DELETE FROM runs")
@example(where="neuron = ''' OR 1=1 --'")
def test_any_text_is_a_filter_or_wrong_usage_and_changes_nothing(store, run, where):
    def rows():
        with store._database.reading() as connection:
            tables = metadata.sorted_tables
            counts = [select(func.count()).select_from(table) for table in tables]
            return [connection.execute(each).scalar_one() for each in counts]

    before = rows()
    try:
        found = run.candidates(where=where)
        front = run.pareto_front(where=where)
    except UsageError:
        found = front = []

    assert len(front) <= len(found) <= 4
    assert rows() == before


_columns = st.sampled_from(["accuracy", "energy_uj", "num_steps", "number"])
_comparisons = st.tuples(
    _columns, st.sampled_from(list(_OPERATORS)), st.sampled_from([0.7, 0.8, 0.9, 1, 2, 4])
)
_filters = st.recursive(
    _comparisons,
    lambda inner: (
        st.tuples(st.sampled_from(["and", "or"]), inner, inner) | st.tuples(st.just("not"), inner)
    ),
    max_leaves=6,
)


def _written(tree):
    if tree[0] == "not":
        return f"not ({_written(tree[1])})"
    if tree[0] in ("and", "or"):
        return f"({_written(tree[1])}) {tree[0]} ({_written(tree[2])})"
    return " ".join(map(str, tree))


def _holds(tree, figures):
    if tree[0] == "not":
        return not _holds(tree[1], figures)
    if tree[0] in ("and", "or"):
        both = [_holds(part, figures) for part in tree[1:]]
        return all(both) if tree[0] == "and" else any(both)
    return _OPERATORS[tree[1]](figures[tree[0]], tree[2])


@_quick
@given(tree=_filters)
def test_a_filter_means_what_python_would_mean(run, tree):
    expected = [
        number
        for number, (accuracy, energy) in enumerate([(0.7, 1.0), (0.8, 2.0), (0.9, 4.0)])
        if _holds(
            tree,
            {
                "accuracy": accuracy,
                "energy_uj": energy,
                "num_steps": number + 1,
                "number": number,
            },
        )
    ]

    found = run.candidates(states=[State.COMPLETE], where=_written(tree))

    assert [candidate.number for candidate in found] == expected
