"""The shipped profiles on a Ray cluster of two nodes on this machine."""

from dataclasses import replace

import pytest
import ray
from ray._private.authentication.authentication_token_setup import ensure_token_if_auth_enabled
from ray._raylet import Config
from ray.cluster_utils import Cluster

from spikenas.distributed.ray_pool import RayPool
from spikenas.distributed.worker import EVALUATE
from spikenas.evaluation import State
from spikenas.exceptions import ClusterError
from spikenas.worker_profile import load_profile

pytestmark = pytest.mark.slow
ANSWER = "faulty_jobs:answer"  # the module beside; conftest puts it on the path


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of one CPU each, for whoever follows RAY_ADDRESS.

    They ask for a token, as every Ray that is started in this process: none can go back.
    """
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    Config.initialize("")  # Ray reads its environment only when told to
    ensure_token_if_auth_enabled(create_token_if_missing=True)
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False},
    )
    cluster.add_node(num_cpus=1)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster
    cluster.shutdown()


def _outcomes(pool, jobs):
    for job in jobs:
        pool.submit(job)
    return [pool.next_result(120) for _ in jobs]


def test_the_cluster_profile_trains_on_every_node_and_leaves_the_cluster_up(cluster, job):
    jobs = [job(f"toy:{i}", kind="train") for i in range(4)]

    with RayPool(load_profile("cluster"), EVALUATE) as pool:
        workers = pool.num_workers
        pool.warm_up(jobs[0].data)
        outcomes = _outcomes(pool, jobs)

    assert workers == 2
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert {outcome.state for outcome in outcomes} == {State.COMPLETE}
    assert len({outcome.worker for outcome in outcomes}) == 2
    assert not ray.is_initialized()
    with RayPool(load_profile("cluster"), ANSWER) as again:
        assert _outcomes(again, [job("quick:1")])[0].state is State.COMPLETE


def test_a_lost_node_loses_its_job_and_the_others_go_on(
    cluster, job, tmp_path, caplog, monkeypatch
):
    second = next(iter(cluster.worker_nodes))
    names = [str(tmp_path / "a"), str(tmp_path / "b")]

    with RayPool(load_profile("cluster"), ANSWER) as pool:
        for name in names:
            pool.submit(job(f"wait:{name}"))
        while not all((tmp_path / name).exists() for name in ("a", "b")):
            assert pool.next_result(0.1) is None
        monkeypatch.setattr("spikenas.distributed.ray_pool._STARVED_S", 1.0)
        caplog.clear()  # a slow machine may have warned while the workers started
        cluster.remove_node(second, allow_graceful=False)
        lost = pool.next_result(60)
        while not (warnings := [r for r in caplog.messages if "have not started" in r]):
            assert pool.next_result(0.5) is None
        for name in ("a", "b"):
            (tmp_path / name).unlink()
        rest = [pool.next_result(60), *_outcomes(pool, [job("quick:1"), job("quick:2")])]

    assert lost.state is State.LOST
    assert {outcome.state for outcome in rest} == {State.COMPLETE}
    assert "1 of 2 workers have not started" in warnings[0]
    assert "free on the living nodes: 0 of" in warnings[0]


def test_a_head_that_goes_away_is_an_error_and_no_abort(cluster, job, tmp_path, monkeypatch):
    monkeypatch.setattr("spikenas.distributed.ray_session._HEAD_S", 0.5)

    with RayPool(load_profile("cluster"), ANSWER) as pool:
        pool.submit(job(f"wait:{tmp_path / 'a'}"))
        while not (tmp_path / "a").exists():
            assert pool.next_result(0.1) is None
        cluster.head_node.kill_gcs_server()

        with pytest.raises(ClusterError, match="no Ray cluster at"):
            pool.next_result(60)


def test_the_local_profile_trains_on_its_own_ray(job):
    profile = replace(load_profile("local"), num_workers=2)

    with RayPool(profile, EVALUATE) as pool:
        outcomes = _outcomes(pool, [job(f"toy:{i}", kind="train") for i in range(2)])

    assert [outcome.error for outcome in outcomes] == [None, None]
    assert {outcome.state for outcome in outcomes} == {State.COMPLETE}
    assert not ray.is_initialized()
