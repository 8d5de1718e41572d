import json
import os
import platform
import signal
from dataclasses import replace

import pytest
import ray

from spikenas.distributed import open_pool
from spikenas.distributed.ray_pool import RayPool
from spikenas.evaluation import State
from spikenas.exceptions import ClusterError
from spikenas.worker_profile import WorkerProfile

pytestmark = pytest.mark.slow
ANSWER = "faulty_jobs:answer"  # the module beside; conftest puts it on the path
PROFILE = WorkerProfile(num_workers=2, threads_per_worker=1)


@pytest.fixture(scope="module")
def session():
    """One Ray for the whole module; the pools use it as a caller's own session."""
    ray.init(
        address="local",
        num_cpus=8,
        num_gpus=1,  # Ray takes our word for it
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 * 2**20,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def pool(session):
    with RayPool(PROFILE, ANSWER) as pool:
        yield pool


def _run(pool, *jobs):
    for job in jobs:
        pool.submit(job)
    outcomes = [pool.next_result(60) for _ in jobs]
    return {outcome.job_id: outcome for outcome in outcomes}


def test_every_job_comes_back_once_with_the_worker_that_ran_it(pool, job):
    outcomes = _run(pool, *(job(f"quick:{i}") for i in range(5)))

    assert sorted(outcomes) == [f"quick:{i}" for i in range(5)]
    assert all(outcome.state is State.COMPLETE for outcome in outcomes.values())
    assert all(outcome.worker for outcome in outcomes.values())
    assert pool.next_result(60) is None


@pytest.mark.parametrize("size", [10, 5 * 2**20])
def test_weights_cross_both_ways_unchanged(pool, job, size):
    weights = os.urandom(size)

    outcome = _run(pool, job("quick:w", weights=weights))["quick:w"]

    assert outcome.weights == weights


def test_a_worker_has_the_threads_of_the_profile_no_gpu_and_keeps_freed_memory(pool, job):
    outcome = _run(pool, job("report:1"))["report:1"]

    assert json.loads(outcome.error) == {
        "process": int(outcome.worker.partition("/")[2]),
        "threads": 1,
        "gpus": "",
        "keeps_freed_memory": platform.libc_ver()[0] == "glibc",
        "ignores_ctrl_c": True,
    }


def test_workers_that_take_a_quarter_of_a_gpu_are_four_at_once_and_see_it(session, job, tmp_path):
    profile = replace(PROFILE, num_workers="auto", gpus_per_worker=0.25)
    paths = [tmp_path / name for name in "abcd"]

    with RayPool(profile, ANSWER) as pool:
        assert pool.num_workers == 4
        for path in paths:
            pool.submit(job(f"wait:{path}"))
        processes = {_pid_of_running(pool, path) for path in paths}
        for path in paths:
            path.unlink()
        assert {pool.next_result(60).state for _ in paths} == {State.COMPLETE}
        outcome = _run(pool, job("report:1"))["report:1"]

    assert len(processes) == 4
    assert json.loads(outcome.error)["gpus"] == "0"


def test_a_job_that_raises_fails_with_its_traceback_and_keeps_its_worker(pool, job):
    outcome = _run(pool, job("raise:1"))["raise:1"]

    assert outcome.state is State.FAILED
    assert outcome.error == "ValueError: this one never works"
    assert "in _raise" in outcome.traceback


@pytest.mark.parametrize(
    "deed", ["no_outcome", "not_a_number", "above_one", "other_job", "unfinished", "unscored"]
)
def test_an_answer_that_is_none_fails_the_job(pool, job, deed):
    outcome = _run(pool, job(f"{deed}:1"))[f"{deed}:1"]

    assert outcome.state is State.FAILED
    assert outcome.error


@pytest.mark.parametrize("deed", ["exit", "segfault"])
def test_a_job_that_kills_its_worker_is_lost_and_the_next_is_done(pool, job, deed):
    outcomes = _run(pool, job(f"{deed}:1"), job("quick:1"), job("quick:2"))

    assert outcomes[f"{deed}:1"].state is State.LOST
    assert outcomes["quick:1"].state is State.COMPLETE
    assert outcomes["quick:2"].state is State.COMPLETE


def test_a_worker_killed_at_work_has_its_job_reported_lost(pool, job, tmp_path):
    doomed = job(f"wait:{tmp_path / 'process'}")
    pool.submit(doomed)
    assert pool.next_result(0.1) is None

    os.kill(_pid_of_running(pool, tmp_path / "process"), signal.SIGKILL)
    outcome = pool.next_result(60)
    later = _run(pool, *(job(f"quick:{i}") for i in range(4)))

    assert outcome.job_id == doomed.id
    assert outcome.state is State.LOST
    assert outcome.worker in outcome.error
    assert all(after.state is State.COMPLETE for after in later.values())


def _pid_of_running(pool, path):
    while not path.exists():
        assert pool.next_result(0.1) is None
    return int(path.read_text())


def test_overdue_jobs_time_out_even_in_c_and_their_workers_are_gone(session, job):
    profile = replace(PROFILE, job_timeout_s=2.0)

    with RayPool(profile, ANSWER) as pool:
        outcomes = _run(pool, job("hang:1"), job("hang_in_c:1"))
        after = _run(pool, job("report:1"))["report:1"]

    assert {outcome.state for outcome in outcomes.values()} == {State.TIMED_OUT}
    assert all("job_timeout_s = 2" in outcome.error for outcome in outcomes.values())
    ended = {outcome.worker for outcome in outcomes.values()}
    assert after.worker not in ended
    assert not [name for name in ended if _is_running(int(name.partition("/")[2]))]


def test_a_worker_that_cannot_start_ends_the_search_with_the_reason(session, job):
    with RayPool(PROFILE, "no_such_module:answer") as pool:
        pool.submit(job("quick:1"))

        with pytest.raises(ClusterError, match="no_such_module"):
            pool.next_result(60)


def test_a_shortage_is_said_once_and_then_ends_the_search(session, job, monkeypatch, caplog):
    monkeypatch.setattr("spikenas.distributed.ray_pool._STARVED_S", 0.5)
    greedy = replace(PROFILE, cpus_per_worker=100.0, startup_timeout_s=3.0)

    with RayPool(greedy, ANSWER) as pool:
        pool.submit(job("quick:1"))
        with pytest.raises(ClusterError, match=r"one needs 100 CPU; free .*: \d of 8 CPU"):
            pool.next_result(60)

    assert len([r for r in caplog.records if "have not started" in r.message]) == 1


def test_closing_twice_is_once_and_leaves_the_callers_ray_alone(session):
    pool = open_pool(PROFILE)

    pool.close()
    pool.close()

    assert ray.is_initialized()


def _is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
