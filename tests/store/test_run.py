from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from spikenas.evaluation import State
from spikenas.exceptions import NotFoundError, UnknownNameError, UsageError
from spikenas.store import Store
from spikenas.store.schema import metadata

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _rows(store: Store) -> dict[str, int]:
    with store._database.reading() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in metadata.tables.items()
        }


def test_a_run_is_read_as_it_was_begun(store, begin):
    begin("first", seed=2**62, settings={"trials": 12}, space_toml="[choices]\nx = 'µ'\n")

    run = store.run("first")

    assert (run.name, run.seed, run.settings_json) == ("first", 2**62, {"trials": 12})
    assert run.objectives == ("accuracy", "energy_uj")
    assert run.space_toml == "[choices]\nx = 'µ'\n"
    assert run.created_at.tzinfo is UTC
    assert abs(run.created_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_the_newest_run_is_meant_where_none_is_named(store, begin):
    begin("first")
    begin("second")

    assert store.run().name == "second"
    assert [run.name for run in store.runs()] == ["second", "first"]


def test_a_run_without_a_name_is_called_after_its_data_and_minute(begin):
    names = [begin().run.name for _ in range(3)]

    assert len(set(names)) == 3
    assert all(name.startswith(f"digits-{datetime.now(UTC):%Y%m}") for name in names)


def test_a_name_that_is_taken_is_wrong_usage(store, begin):
    begin("first")
    before = _rows(store)

    with pytest.raises(UsageError, match=r"'first' is in .* already; .*spikenas resume first"):
        begin("first")

    assert _rows(store) == before


def test_a_taken_name_of_a_finished_run_advises_another_name_only(store, begin):
    begin("first").finish("finished")

    with pytest.raises(UsageError, match=r"already; it is finished; give another --name$"):
        begin("first")


def test_a_run_that_does_not_exist_is_missed_with_the_nearest_name(store, begin):
    begin("digits-small")

    with pytest.raises(NotFoundError, match=r"no run is named 'digit-small'.*'digits-small'\?"):
        store.run("digit-small")
    with pytest.raises(NotFoundError, match="did you mean 'digits-small'"):
        store.resume_run("digit-small")


def test_a_store_without_runs_says_how_to_begin_one(store):
    with pytest.raises(NotFoundError, match="holds no run yet; `spikenas search` begins one"):
        store.run()


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_no_column_holds_is_wrong_usage(begin, seed):
    with pytest.raises(UsageError, match="needed: an integer from 0"):
        begin("first", seed=seed)


def test_an_unknown_objective_is_wrong_usage(begin):
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        begin("first", objectives=["acuracy"])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.text(max_size=60), known=_JSON)
@example(name="'; DROP TABLE runs; --", known="'; DROP TABLE runs; --")
@example(name="../../etc", known="\x00\ud800")
@example(name="%s{x}%(y)s", known={"\x00": "%"})
def test_any_name_is_stored_as_it_is_or_refused_as_usage(store, begin, name, known):
    before = _rows(store)
    try:
        writer = begin(name, settings={"known": known})
    except UsageError:
        after = before
    else:
        writer.finish("finished")
        run = store.run(name)
        assert (run.name, run.settings_json) == (name, {"known": known})
        assert "/" not in name
        after = before | {"runs": before["runs"] + 1}

    assert _rows(store) == after


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", " a", "-a", "a\nb", "é" * 101])
def test_a_name_that_no_folder_or_option_could_bear_is_refused(store, begin, name):
    with pytest.raises(UsageError, match="run name"):
        begin(name)

    assert store.runs() == []


def test_every_state_is_counted_also_those_without_candidates(store, begin, train):
    writer = begin("first")
    train(writer, 0)

    counts = store.run().counts()

    assert list(counts) == [state.value for state in State]
    assert counts == dict.fromkeys(State, 0) | {State.COMPLETE: 1}
    assert store.runs()[0].counts == counts


def test_a_candidate_is_found_by_the_first_digits_of_its_key(store, begin, train, architecture):
    train(begin("first"), 0, num_steps=3)
    key = architecture(num_steps=3).key

    found = [store.run().candidate(prefix) for prefix in (key[:8], key[:12].upper(), key)]

    assert [candidate.key for candidate in found] == [key] * 3
    assert found[0].architecture == architecture(num_steps=3)
    assert found[0].id == key[:12]


@pytest.mark.parametrize("prefix", ["", "abcdef", "0123456g", "%%%%%%%%", "a" * 65])
def test_too_few_or_other_digits_are_wrong_usage(store, begin, prefix):
    begin("first")

    with pytest.raises(UsageError, match="give at least 8 digits of its key"):
        store.run().candidate(prefix)


def test_a_candidate_that_does_not_exist_is_missed(store, begin):
    begin("first")

    with pytest.raises(NotFoundError, match="'first' has no candidate 01234567"):
        store.run().candidate("01234567")


def test_digits_that_two_candidates_share_are_wrong_usage(store, begin, train, architecture):
    writer = begin("first")
    train(writer, 0, num_steps=3)
    train(writer, 1, num_steps=3)

    with pytest.raises(UsageError, match=r"could be one of 2; give more digits:\n.*number 0"):
        store.run().candidate(architecture(num_steps=3).key[:8])


def test_candidates_come_in_the_order_of_their_proposal(store, begin, train):
    writer = begin("first")
    for number in (2, 0, 1):
        train(writer, number, accuracy=0.5 + number / 10)

    run = store.run()

    assert [c.number for c in run.candidates()] == [0, 1, 2]
    assert [c.number for c in run.candidates(where="accuracy > 0.55")] == [1, 2]
    assert run.candidates(states=[State.QUEUED]) == []


def test_the_best_is_the_cheaper_of_two_equals(store, begin, train):
    writer = begin("first")
    train(writer, 0, accuracy=0.9, energy_uj=3.0)
    train(writer, 1, accuracy=0.9, energy_uj=2.0)
    train(writer, 2, accuracy=0.8, energy_uj=1.0)

    run = store.run()

    assert run.best("accuracy").number == 1
    assert run.best("energy_uj").number == 2


def test_without_a_complete_candidate_there_is_no_best(store, begin):
    begin("first")

    with pytest.raises(NotFoundError, match="no complete candidate yet"):
        store.run().best("accuracy")


def test_a_member_of_the_front_has_the_promised_keys(store, begin, train):
    train(begin("first"), 0)

    record = store.run().pareto_front()[0].to_dict()

    assert list(record) == [
        *("id", "key", "architecture", "accuracy", "test_accuracy", "energy_uj", "spike_rate"),
        *("synops", "macs", "parameters", "latency_steps", "fidelity", "seed"),
    ]
    assert record["architecture"]["num_steps"] == 1
    assert record["test_accuracy"] is None


def test_a_run_prints_its_name_status_and_counts(store, begin, train):
    writer = begin("first")
    train(writer, 0)

    assert repr(store.run()) == "<Run 'first': running; 1 complete>"


def test_a_notebook_shows_the_front_and_runs_nothing_that_a_name_says(store, begin, train):
    writer = begin("<script>alert(1)<", settings={})
    train(writer, 0, accuracy=0.875, energy_uj=2.5)

    page = store.run()._repr_html_()

    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;" in page
    assert "<td>0.875</td><td>2.5</td>" in page
    assert "1 complete" in page


def test_a_run_is_readable_after_its_store_was_closed(url, train):
    with Store.open(url) as store:
        writer = store.begin_run("a", settings={}, space_toml="", seed=0, objectives=["accuracy"])
        train(writer, 0)
        writer.finish("finished")
        run = writer.run

    front = run.pareto_front()

    assert [member.number for member in front] == [0]
    run._database.close()


def test_a_run_that_vanishes_is_missed_by_its_driver(store, begin):
    writer = begin("first")
    with store._database.writing() as connection:
        connection.execute(text("DELETE FROM runs"))

    with pytest.raises(NotFoundError, match="was deleted from the store"):
        writer.finish("finished")
