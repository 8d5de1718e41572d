import hashlib
import math

import numpy as np
import pytest
from sqlalchemy import select

from spikenas.evaluation import State
from spikenas.exceptions import ArtefactError, NotFoundError
from spikenas.store import KeptFile, read_weights
from spikenas.store.schema import metadata
from spikenas.workload import Kind, Operation, Signal, Workload


def _everything(store):
    """Return every row of every table but the leases, which any write renews."""
    with store._database.reading() as connection:
        found = {
            name: [dict(row._mapping) for row in connection.execute(select(table))]
            for name, table in metadata.tables.items()
        }
    for run in found["runs"]:
        del run["lease_expires_at"]
    return found


def _queue(writer, architecture, number=0, **columns):
    defaults = {"state": State.QUEUED, "margins": {}, "reuse_key": f"key-{number}"}
    return writer.add(number, architecture(num_steps=number + 1), {}, **(defaults | columns))


def test_a_candidate_is_read_as_it_was_added(store, begin, architecture):
    writer = begin("first")

    row = writer.add(
        5,
        architecture(num_steps=2),
        {"num_steps": 2, "stages[0].mixer": "ssa"},
        state=State.REFUSED,
        margins={"fan_in": 0.5, "max_steps": -0.25},
        reason="fan-in 6144 is over 4096",
        reuse_key="k",
    )

    found = store.run().candidates()[0]
    assert (found.row, found.number, found.run) == (row, 5, "first")
    assert found.architecture == architecture(num_steps=2)
    assert found.choices == {"num_steps": 2, "stages[0].mixer": "ssa"}
    assert found.margins == {"fan_in": 0.5, "max_steps": -0.25}
    assert (found.state, found.reason) == (State.REFUSED, "fan-in 6144 is over 4096")
    assert found.accuracy is None


def test_an_evaluation_is_read_as_it_was_recorded(store, begin, train, evaluation):
    row = train(begin("first"), 0, num_steps=4, test_accuracy=0.75)

    found = store.run().candidates()[0]

    assert found.row == row
    assert store.run().evaluation(found) == evaluation(test_accuracy=0.75)
    assert store.evaluation(found) == evaluation(test_accuracy=0.75)


def test_figures_of_numpy_are_stored_as_numbers(store, begin, train):
    train(begin("first"), 0, accuracy=np.float32(0.5), macs=np.int64(7), parameters=np.int32(3))

    found = store.run().candidates()[0]

    assert (found.accuracy, found.parameters) == (0.5, 3)


def test_a_candidate_without_an_end_has_no_evaluation(store, begin, architecture):
    _queue(begin("first"), architecture)

    with pytest.raises(NotFoundError, match="has no result; it is queued"):
        store.run().evaluation(store.run().candidates()[0])


def test_a_failed_candidate_keeps_its_traceback(store, begin, architecture):
    writer = begin("first")
    row = _queue(writer, architecture)

    attempt = writer.start(row, worker="w1")
    writer.record(row, state=State.FAILED, error="boom \0 \ud800", traceback="Traceback ...\0")

    found = store.run().candidates()[0]
    tried = store.run().attempts(found)
    assert attempt == 1
    assert (found.state, found.error) == (State.FAILED, r"boom \x00 \ud800")
    assert [(t.number, t.worker, t.outcome) for t in tried] == [(1, "w1", "failed")]
    assert tried[0].traceback == r"Traceback ...\x00"
    assert tried[0].ended_at >= tried[0].started_at


def test_a_failure_on_the_way_to_a_worker_keeps_its_traceback(store, begin, architecture):
    writer = begin("first")
    row = _queue(writer, architecture)

    writer.record(row, state=State.FAILED, error="boom", traceback="Traceback ...")

    tried = store.run().attempts(store.run().candidates()[0])
    assert [(t.number, t.outcome, t.traceback) for t in tried] == [(1, "failed", "Traceback ...")]


def test_a_requeued_candidate_is_tried_again(store, begin, architecture):
    writer = begin("first")
    row = _queue(writer, architecture)

    writer.start(row, worker="w1")
    writer.requeue(row)
    state_between = store.run().candidates()[0].state
    attempt = writer.start(row, worker="w2")

    tried = store.run().attempts(store.run().candidates()[0])
    assert (state_between, attempt) == (State.QUEUED, 2)
    assert [(t.worker, t.outcome) for t in tried] == [("w1", "requeued"), ("w2", None)]


@pytest.mark.parametrize("figure", ["accuracy", "energy_uj", "spike_rate", "synops"])
def test_a_figure_that_is_not_finite_is_never_stored(
    store, begin, architecture, evaluation, figure
):
    writer = begin("first")
    row = _queue(writer, architecture)
    before = _everything(store)

    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=f"{figure} = .* needed: a number from 0"):
            writer.record(row, state=State.COMPLETE, evaluation=evaluation(**{figure: value}))

    assert _everything(store) == before


def test_a_record_is_written_whole_or_not_at_all(store, begin, architecture, evaluation):
    writer = begin("first")
    row = _queue(writer, architecture)
    writer.start(row)
    before = _everything(store)
    twice = Operation(
        name="x", kind=Kind.ADD, inputs=(), output_shape=(1,), signal=Signal.SPIKES, macs=2**70
    )
    unstorable = Workload(operations=(twice,), num_steps=4, parameters=0)

    with pytest.raises(Exception, match=r"(?i)int|range"):
        writer.record(row, state=State.COMPLETE, evaluation=evaluation(workload=unstorable))

    assert _everything(store) == before


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.COMPLETE])
def test_an_end_without_what_it_needs_is_a_fault_of_the_caller(begin, architecture, state):
    writer = begin("first")
    row = _queue(writer, architecture)

    with pytest.raises(ValueError, match="is not a final state of a candidate"):
        writer.record(row, state=state)


def test_a_candidate_ends_once(store, begin, train, evaluation):
    writer = begin("first")
    row = train(writer, 0)
    before = _everything(store)

    with pytest.raises(ValueError, match="is complete; needed: queued or running"):
        writer.record(row, state=State.FAILED, error="late")
    with pytest.raises(ValueError, match="is complete; needed: queued"):
        writer.start(row)

    assert _everything(store) == before


def test_a_candidate_of_another_run_is_out_of_reach(begin, architecture):
    row = _queue(begin("first"), architecture)
    second = begin("second")

    with pytest.raises(ValueError, match="of run 'second' is unknown"):
        second.start(row)


def test_duplicates_are_neither_counted_nor_on_the_front(store, begin, train, architecture):
    writer = begin("first")
    original = train(writer, 0, num_steps=4)
    writer.add(
        1,
        architecture(num_steps=4),
        {"dead": 1},
        state=State.COMPLETE,
        margins={},
        duplicate_of=original,
        reuse_key="k",
    )

    run = store.run()

    assert run.counts()["complete"] == 1
    assert [c.number for c in run.candidates()] == [0]
    assert [c.number for c in run.pareto_front()] == [0]
    assert [c.duplicate_of for c in run.candidates(include_duplicates=True)] == [None, original]
    assert run.candidate(architecture(num_steps=4).key[:8]).number == 0


def test_equal_architectures_of_two_runs_are_one_row(store, begin, train):
    train(begin("first"), 0, num_steps=4)
    train(begin("second"), 0, num_steps=4)

    assert len(_everything(store)["architectures"]) == 1


def test_a_result_is_found_from_another_run(store, begin, train, architecture):
    row = train(begin("first"), 0, num_steps=4)
    second = begin("second")
    _queue(second, architecture, number=4, reuse_key="queued")

    (found,) = store.find_results(f"key-{architecture(num_steps=4).key}")

    assert (found.row, found.run) == (row, "first")
    assert store.find_results("queued") == []
    assert store.find_results("unknown") == []


def test_the_test_accuracy_of_a_complete_candidate_is_kept(store, begin, train, architecture):
    writer = begin("first")
    row = train(writer, 0)
    queued = _queue(writer, architecture, number=7)

    writer.record_test_accuracy(row, 0.875)

    assert store.run().candidates()[0].test_accuracy == 0.875
    with pytest.raises(ValueError, match="0 to 1"):
        writer.record_test_accuracy(row, math.nan)
    with pytest.raises(ValueError, match="is queued; needed: complete"):
        writer.record_test_accuracy(queued, 0.5)


def test_weights_below_the_artefact_folder_are_kept_by_their_path_from_there(
    store, begin, architecture, evaluation
):
    writer = begin("first")
    row = _queue(writer, architecture)
    path = store.artifact_folder / "first" / "w.safetensors"
    kept = KeptFile("weights", path, "0" * 64, 12)

    writer.record(row, state=State.COMPLETE, evaluation=evaluation(), kept=kept)
    found = store.run().candidates()[0]
    recorded = _everything(store)["artifacts"][0]["path"]
    writer.drop_artifact(row, "weights")

    assert (found.weights_path, found.weights_sha256) == (path, "0" * 64)
    assert recorded == "first/w.safetensors"
    assert store.run().candidates()[0].weights_path is None


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"x" + b[1:], lambda b: b + b"x"])
def test_damaged_weights_are_an_error_and_not_weights(
    store, begin, architecture, evaluation, damage
):
    writer = begin("first")
    row = _queue(writer, architecture)
    path = store.artifact_folder / "w.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    kept = KeptFile("weights", path, hashlib.sha256(b"weights").hexdigest(), 7)
    writer.record(row, state=State.COMPLETE, evaluation=evaluation(), kept=kept)
    candidate = store.run().candidates()[0]
    assert read_weights(candidate) == b"weights"

    path.write_bytes(damage(b"weights"))

    with pytest.raises(ArtefactError, match="damaged"):
        read_weights(candidate)


def test_weights_that_are_elsewhere_are_told_with_the_path_looked_at(
    store, begin, architecture, evaluation
):
    writer = begin("first")
    row = _queue(writer, architecture)
    kept = KeptFile("weights", store.artifact_folder / "w", "0" * 64, 7)
    writer.record(row, state=State.COMPLETE, evaluation=evaluation(), kept=kept)

    with pytest.raises(NotFoundError, match=r"are not at .*w; put"):
        read_weights(store.run().candidates()[0])
