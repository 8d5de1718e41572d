"""Count trained candidates per minute of a search: scripts/bench search-throughput [options].

The same search twice, alternated: the same driver, space, sampler, seed, recipe and data on Ray
workers of one thread each. In one the workers train our networks, in the other the same networks
with SpikingJelly's neurons (scripts/benches/peers/evaluator.py). Proposals are random, so both
train the same candidates. The clock runs from the call of `search` until the last candidate is
trained and measured; the workers are up and hold the data by then, and nothing is scored on the
test set, which would come after.
Data: scikit-learn's digits, enlarged to 32x32, so that nothing is downloaded.
"""

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import ray

from measuring import Result, Rounds, options, print_document, without_compiler
from spikenas.architecture import Architecture, Stage
from spikenas.data import DataSpec
from spikenas.distributed.ray_pool import RayPool
from spikenas.driver import Progress, search
from spikenas.driver.progress import ENDS
from spikenas.evaluation import State
from spikenas.evaluator import Job
from spikenas.search_space import SearchSpace
from spikenas.store import Run
from spikenas.training import recipe
from spikenas.worker_profile import WorkerProfile

_BAR = 3.0
_EVALUATORS = {"ours": "peers.evaluator:evaluate_ours", "peer": "peers.evaluator:evaluate"}
_IMAGE_SIZE = 32
_SMALL = Stage(embed_dim=16, depth=1, mixer=("ssa",), num_heads=4, mlp_ratio=1.0)
_SPACE = """
[space]
description = "Spikformers for 32x32 images, T = 4."

[input]
channels = 1
height = 32
width = 32
num_classes = 10

[choices]
num_steps = 4
neuron = "lif"
tau = 2.0
residual = "spike"
stem = "sps"
patch_size = 4

[[stages]]
embed_dim = [64, 96, 128]
depth = [1, 2]
mixer = "ssa"
num_heads = 4
mlp_ratio = [2, 4]
"""


def main() -> None:
    """Measure and print one JSON document."""
    parser = options(__doc__)
    parser.add_argument("--trials", type=int, default=4, help="candidates trained in a search")
    parser.add_argument("--images", type=int, default=512, help="that each is trained on")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    has_compiler = not without_compiler(given)
    here = str(Path(__file__).parent)
    # Ray's workers find the peers by it.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    print_document(
        "search_throughput",
        partial(_measure, given, _BAR if has_compiler else None),
        threads=given.threads,
        settings={
            "trials": given.trials,
            "images": given.images,
            "workers": given.workers,
            "compiler": has_compiler,
            "space": _SPACE,
        },
    )


def _measure(given: argparse.Namespace, bar: float | None) -> Iterator[Result]:
    ray.init(
        address="local",
        num_cpus=given.workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=200 * 2**20,
    )
    timed = {side: Rounds() for side in _EVALUATORS}
    runs: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as folder:
        for i in range(given.rounds):
            for side in list(_EVALUATORS)[:: -1 if i % 2 else 1]:
                store = f"sqlite:///{folder}/{side}-{i}.db"
                seconds, runs[side] = _search(given, side, store)
                timed[side].wall_ms.append(1e3 * seconds)
                timed[side].cpu_ms.append(1e3 * _seconds_at_work(runs[side]))
        rates = {
            side: [round(60e3 * given.trials / ms, 3) for ms in rounds.wall_ms]
            for side, rounds in timed.items()
        }
        yield Result.of_rounds(
            f"whole search, {given.trials} candidates on {given.workers} workers",
            timed,
            bar=bar,
            candidates_per_minute=rates,
            candidates=_side_by_side(runs),
            rounds_cpu_ms_are="the seconds that the jobs took, summed over the workers",
        )
    ray.shutdown()


def _search(given: argparse.Namespace, side: str, store: str) -> tuple[float, Run]:
    """Return the seconds until the last candidate was trained, and the run."""
    ended: list[float] = []

    def watch(progress: Progress) -> None:
        if not ended and sum(progress.counts[state] for state in ENDS) >= given.trials:
            ended.append(time.perf_counter())

    data = DataSpec(name="digits", image_size=_IMAGE_SIZE, train_subset=given.images)
    space = SearchSpace.from_toml(_SPACE, source="spikformers")
    with _warm_pool(given.workers, side, data, space.sample(0)) as pool:
        began = time.perf_counter()
        run = search(
            space,
            data=data,
            epochs=1,
            trials=given.trials,
            sampler="random",
            store=store,
            workers=pool,
            on_progress=watch,
        )
    counts = run.counts()
    assert counts[State.COMPLETE] == given.trials, counts
    return ended[0] - began, run


@contextmanager
def _warm_pool(
    num_workers: int, side: str, data: DataSpec, architecture: Architecture
) -> Iterator[RayPool]:
    """Yield a pool whose workers have each trained something small on the data."""
    small = replace(architecture, num_steps=1, stages=(_SMALL,))
    profile = WorkerProfile(num_workers=num_workers, threads_per_worker=1)
    with RayPool(profile, _EVALUATORS[side]) as pool:
        for i in range(num_workers):
            pool.submit(
                Job(
                    id=f"warm-{i}",
                    architecture=small,
                    data=data,
                    recipe=recipe("digits"),
                    epochs=1,
                    seed=0,
                    energy_model="cmos45",
                )
            )
        for _ in range(num_workers):
            outcome = pool.next_result(300)
            assert outcome is not None
            assert outcome.state is State.COMPLETE, outcome.error
        yield pool


def _seconds_at_work(run: Run) -> float:
    return sum(each.wall_seconds or 0.0 for each in run.candidates())


def _side_by_side(runs: dict[str, Run]) -> list[dict[str, object]]:
    """Return what both sides made of each candidate of the last round."""
    found = {side: {each.key: each for each in run.candidates()} for side, run in runs.items()}
    assert set(found["ours"]) == set(found["peer"]), "the sides trained different candidates"
    return [
        {
            "id": each.id,
            "embed_dim": each.architecture.stages[0].embed_dim,
            "depth": each.architecture.stages[0].depth,
            "accuracy": {side: by_key[key].accuracy for side, by_key in found.items()},
            "seconds": {side: by_key[key].wall_seconds for side, by_key in found.items()},
        }
        for key, each in found["ours"].items()
    ]


if __name__ == "__main__":
    main()
