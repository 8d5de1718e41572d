"""What a pool of workers promises, by real jobs of a second on scikit-learn's digits."""

import time
from dataclasses import replace

import torch

from spikenas.data import DataSpec, OwnData
from spikenas.distributed import WorkerPool
from spikenas.evaluation import State
from spikenas.evaluator import Job, Outcome
from spikenas.testing.networks import ATTENTION
from spikenas.training import recipe

_WAIT_S = 120.0


class WorkerPoolContract:
    """The promises of a `WorkerPool`; the subclass opens one, which a test closes."""

    def pool(self) -> WorkerPool:
        """Return a pool whose workers run `spikenas.evaluator.evaluate`."""
        raise NotImplementedError

    def test_every_job_comes_back_exactly_once(self) -> None:
        """In any order, with what it scored and the worker that ran it; then there is none."""
        with self.pool() as pool:
            pool.warm_up(_job("a").data)
            for name in ("a", "b", "c"):
                pool.submit(_job(name))
            outcomes = [pool.next_result(_WAIT_S) for _ in range(3)]

            done = sorted(outcome.job_id for outcome in outcomes if outcome)
            assert done == ["a", "b", "c"], f"jobs a, b, c were submitted; {done} came back"
            more = pool.next_result(0.1)
            assert more is None, f"a fourth outcome came back for three jobs: {more}"
        for outcome in outcomes:
            assert outcome is not None
            assert outcome.state is State.COMPLETE, outcome.error
            assert outcome.worker, f"the outcome of job {outcome.job_id} names no worker"
            assert outcome.evaluation is not None, f"job {outcome.job_id} has no evaluation"
        scores = {o.evaluation.accuracy for o in outcomes if o and o.evaluation}
        assert len(scores) == 1, f"equal jobs have the accuracies {scores}"

    def test_weights_cross_both_ways(self) -> None:
        """A training gives them, a test of them scores what they score."""
        with self.pool() as pool:
            trained = _run(pool, _job("train"))
            tested = _run(pool, replace(_job("test"), kind="test", weights=trained.weights))

        assert trained.weights, "the training gave no weights"
        assert tested.state is State.COMPLETE, tested.error
        assert tested.test_accuracy is not None, "the test has no test_accuracy"

    def test_samples_of_the_user_s_own_reach_the_worker(self) -> None:
        """No file has them: they travel beside the job, in ``job.data.own.arrays``."""
        fresh = torch.Generator().manual_seed(time.time_ns())  # which no cache has
        images = torch.randint(0, 256, (60, 1, 8, 8), generator=fresh, dtype=torch.uint8)
        data = OwnData(train=(images, torch.arange(60) % 10)).spec()
        with self.pool() as pool:
            pool.warm_up(data)
            trained = _run(pool, replace(_job("own"), data=data))

        assert trained.state is State.COMPLETE, trained.error

    def test_a_job_that_cannot_be_done_comes_back_with_the_reason(self) -> None:
        """As an outcome; the pool goes on."""
        with self.pool() as pool:
            failed = _run(pool, replace(_job("none"), data_sha256="0" * 64))
            after = _run(pool, _job("after"))

        assert failed.state is State.FAILED, f"state = {failed.state}"
        assert failed.fault == "data", f"fault = {failed.fault!r}"
        assert failed.error, "the outcome has no error text"
        assert after.state is State.COMPLETE, after.error

    def test_closing_twice_is_closing_once(self) -> None:
        """Whoever opened it may close it in more than one place."""
        pool = self.pool()
        assert pool.num_workers >= 1, f"num_workers = {pool.num_workers}"
        pool.close()
        pool.close()


def _run(pool: WorkerPool, job: Job) -> Outcome:
    pool.submit(job)
    outcome = pool.next_result(_WAIT_S)
    assert outcome is not None, f"job {job.id} did not come back in {_WAIT_S:g} s"
    return outcome


def _job(name: str) -> Job:
    return Job(
        id=name,
        architecture=ATTENTION,
        data=DataSpec(name="digits", train_subset=60),
        recipe=replace(recipe("toy"), batch_size=30),
        epochs=1,
        seed=0,
        energy_model="cmos45",
    )
