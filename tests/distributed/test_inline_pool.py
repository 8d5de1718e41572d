import os

import pytest
import torch

from spikenas.data import DataSpec
from spikenas.distributed import InlinePool
from spikenas.evaluation import State

ANSWER = "faulty_jobs:answer"  # the module beside; conftest puts it on the path


def test_jobs_come_back_in_order_with_their_weights(job):
    with InlinePool(ANSWER) as pool:
        pool.warm_up(DataSpec(name="digits"))
        pool.submit(job("quick:1", weights=b"w"))
        pool.submit(job("quick:2"))

        first, second, none = (pool.next_result(1) for _ in range(3))

    assert (first.job_id, first.state, first.weights) == ("quick:1", State.COMPLETE, b"w")
    assert (second.job_id, second.worker) == ("quick:2", "inline")
    assert none is None


@pytest.mark.parametrize(
    "deed",
    ["raise", "no_outcome", "not_a_number", "above_one", "other_job", "unfinished", "unscored"],
)
def test_a_job_that_goes_wrong_fails_with_the_reason(job, deed):
    with InlinePool(ANSWER) as pool:
        pool.submit(job(f"{deed}:1"))

        outcome = pool.next_result(1)

    assert (outcome.job_id, outcome.state) == (f"{deed}:1", State.FAILED)
    assert outcome.error


def test_a_complete_training_without_an_evaluation_fails(job):
    with InlinePool(ANSWER) as pool:
        pool.submit(job("quick:1", kind="train"))

        outcome = pool.next_result(1)

    assert outcome.state is State.FAILED
    assert "without an evaluation" in outcome.error


def test_a_job_runs_here_with_the_asked_threads_and_leaves_the_process_as_it_was(job):
    before = torch.get_num_threads()

    with InlinePool(ANSWER, threads_per_worker=before + 1) as pool:
        pool.submit(job("report:1"))
        outcome = pool.next_result(1)

    assert f'"threads": {before + 1}' in outcome.error
    assert f'"process": {os.getpid()}' in outcome.error
    assert torch.get_num_threads() == before
