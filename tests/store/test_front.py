from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from spikenas.evaluation import State
from spikenas.exceptions import UnknownNameError
from spikenas.figures import OBJECTIVES
from spikenas.pareto import is_non_dominated
from spikenas.store.clock import DatabaseTime
from spikenas.store.schema import evaluations

_numbers = count()
_PAIRS = [
    ("accuracy", "energy_uj"),
    ("energy_uj", "accuracy"),  # the other one gives the order of the sweep
    ("energy_uj", "synops"),  # both down
    ("synops", "accuracy"),
    ("accuracy",),
    ("energy_uj",),
    ("accuracy", "energy_uj", "synops"),
    ("latency_steps", "parameters", "energy_uj", "accuracy"),
]
_few = st.integers(0, 5)  # so that ties are common
_figures = st.fixed_dictionaries(
    {
        "accuracy": _few.map(lambda n: n / 5),
        "energy_uj": _few.map(float),
        "synops": _few.map(float),
        "latency_steps": _few,
        "parameters": _few,
    }
)
_quick = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def fill(store, begin, architecture):
    """Make a run with a complete candidate for each of the given figures."""

    def fill(figures):
        writer = begin(f"run-{next(_numbers)}")
        queued = {"state": State.QUEUED, "margins": {}, "reuse_key": "k"}
        row = writer.add(-1, architecture(), {}, **queued)
        with store._database.writing() as connection:
            model = connection.execute(evaluations.select().where(evaluations.c.id == row)).one()
            shared = {n: v for n, v in model._mapping.items() if n not in ("id", "created_at")}
            shared["state"] = State.COMPLETE.value
            rows = [{**shared, **each, "number": number} for number, each in enumerate(figures)]
            if rows:
                connection.execute(insert(evaluations).values(created_at=DatabaseTime()), rows)
        return writer.run

    return fill


def _front_by_hand(figures, objectives):
    losses = [[OBJECTIVES[name].loss(each[name]) for name in objectives] for each in figures]
    return {number for number, is_on in enumerate(is_non_dominated(losses)) if is_on}


@pytest.mark.parametrize("objectives", _PAIRS, ids=" ".join)
@_quick
@given(figures=st.lists(_figures, max_size=30))
def test_the_front_in_sql_is_the_front_by_dominance(fill, objectives, figures):
    run = fill(figures)

    front = run.pareto_front(objectives)

    assert {member.number for member in front} == _front_by_hand(figures, objectives)
    assert len(front) == len({member.number for member in front})


@_quick
@given(figures=st.lists(_figures, max_size=30), limit=_few)
def test_a_filter_is_applied_before_the_front(fill, figures, limit):
    run = fill(figures)
    left = {n: each for n, each in enumerate(figures) if each["energy_uj"] >= limit}

    front = run.pareto_front(where=f"energy_uj >= {limit} and neuron = 'lif'")

    expected = _front_by_hand(list(left.values()), ("accuracy", "energy_uj"))
    assert {member.number for member in front} == {list(left)[n] for n in expected}


def test_a_thousand_random_points_have_the_front_by_dominance(fill):
    rng = np.random.default_rng(0)
    figures = [
        {"accuracy": round(float(a), 2), "energy_uj": float(e)}
        for a, e in zip(rng.random(1000), rng.lognormal(size=1000), strict=True)
    ]

    front = fill(figures).pareto_front()

    assert {m.number for m in front} == _front_by_hand(figures, ("accuracy", "energy_uj"))


def test_equal_points_are_on_the_front_together(fill):
    run = fill([{"accuracy": 0.5, "energy_uj": 1.0}] * 3)

    assert [member.number for member in run.pareto_front()] == [0, 1, 2]


@pytest.mark.parametrize("objectives", [("synops",), ("accuracy", "synops"), (*_PAIRS[6],)])
def test_a_candidate_that_is_older_than_an_objective_is_on_no_front(fill, objectives):
    kept = {"accuracy": 0.5, "energy_uj": 1.0, "synops": 2.0}
    run = fill([{**kept, "accuracy": 1.0, "energy_uj": 0.0, "synops": None}, kept])

    assert [member.number for member in run.pareto_front(objectives)] == [1]


def test_the_front_begins_with_the_best_in_the_first_objective(fill):
    run = fill([{"accuracy": n / 10, "energy_uj": float(n)} for n in (3, 1, 2)])

    by_accuracy = [member.accuracy for member in run.pareto_front()]
    by_energy = [member.energy_uj for member in run.pareto_front(["energy_uj", "accuracy"])]

    assert by_accuracy == [0.3, 0.2, 0.1]
    assert by_energy == [1.0, 2.0, 3.0]


def test_only_complete_candidates_of_the_run_are_on_its_front(store, begin, train, evaluation):
    train(begin("other"), 0, accuracy=1.0)
    writer = begin("first")
    train(writer, 0, accuracy=0.5)
    pruned = writer.add(
        1,
        store.run("other").candidates()[0].architecture,
        {},
        state=State.QUEUED,
        margins={},
        reuse_key="k",
    )
    writer.record(pruned, state=State.PRUNED, evaluation=evaluation(accuracy=0.75))

    front = store.run("first").pareto_front()

    assert [member.accuracy for member in front] == [0.5]


def test_an_objective_that_does_not_exist_is_named(store, begin):
    begin("first")

    with pytest.raises(UnknownNameError, match="did you mean 'energy_uj'"):
        store.run().pareto_front(["energy"])
