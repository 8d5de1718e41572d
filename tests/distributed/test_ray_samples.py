"""Samples of the user's own reach the workers of Ray, through its object store and once."""

from dataclasses import replace
from pathlib import Path

import pytest
import ray
from stripes import stripes

import spikenas
from spikenas.data import OwnData
from spikenas.distributed.ray_pool import RayPool
from spikenas.evaluation import State
from spikenas.evaluator import evaluate
from spikenas.worker_profile import WorkerProfile

pytestmark = pytest.mark.slow
PROFILE = WorkerProfile(num_workers=2, threads_per_worker=1)


@pytest.fixture(scope="module")
def session():
    """One Ray for the whole module; the pools use it as a caller's own session."""
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 * 2**20,
    )
    yield
    ray.shutdown()


def test_workers_train_on_them_as_this_process_does_and_they_are_put_there_once(
    session, job, monkeypatch
):
    put = []
    original = ray.put
    monkeypatch.setattr(ray, "put", lambda value: put.append(value) or original(value))
    spec = OwnData(train=stripes(80), test=stripes(20, seed=1)).spec()
    asked = job("toy:0", kind="train")
    asked = replace(
        asked,
        data=spec,
        data_sha256=spec.own.sha256,
        architecture=replace(asked.architecture, num_classes=2),
    )
    jobs = [replace(asked, id=f"own:{i}", seed=i) for i in range(4)]

    with RayPool(PROFILE) as pool:
        pool.warm_up(spec)
        for each in jobs:
            pool.submit(each)
        outcomes = {each.job_id: each for each in (pool.next_result(120) for _ in jobs)}

    assert [each.error for each in outcomes.values()] == [None] * 4
    assert len({each.worker for each in outcomes.values()}) == 2
    assert len(put) == 1
    for each in jobs:  # only now, so that no worker found them in this machine's cache
        here = evaluate(each).evaluation
        assert outcomes[each.id].evaluation.accuracy == here.accuracy
        assert outcomes[each.id].weights is not None


def test_a_search_with_ray_ends_as_one_in_this_process(session, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = (stripes(60, seed=5), 0.2, stripes(20, seed=6))
    settings = {"data": data, "trials": 2, "epochs": 1, "batch_size": 20, "sampler": "random"}

    far = spikenas.search("toy", workers=PROFILE, store="sqlite:///far.db", **settings)
    near = spikenas.search("toy", workers="inline", store="sqlite:///near.db", **settings)

    assert far.counts()[State.COMPLETE] == 2
    assert {(each.key, each.accuracy) for each in far.candidates()} == {
        (each.key, each.accuracy) for each in near.candidates()
    }
    assert all(each.test_accuracy is not None for each in far.pareto_front())
