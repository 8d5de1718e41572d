"""What a job can do to its worker. A job's id says which: ``hang:1`` hangs."""

import ctypes
import json
import os
import re
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.data import DataSpec
from spikenas.evaluation import State
from spikenas.evaluator import Job, Outcome
from spikenas.hardware import energy_models
from spikenas.training import recipe


def make_job(job_id: str, *, kind: str = "test", weights: bytes | None = None) -> Job:
    """Make a job that `answer` treats as the word before the colon of its id says."""
    return Job(
        id=job_id,
        architecture=Architecture(
            input=InputSpec(channels=1, height=8, width=8),
            num_classes=10,
            num_steps=2,
            neuron="lif",
            residual="spike",
            stem="conv",
            patch_size=2,
            stages=(Stage(embed_dim=16, depth=1, mixer=("ssa",), num_heads=2, mlp_ratio=2.0),),
        ),
        data=DataSpec(name="digits"),
        recipe=recipe("toy"),
        epochs=1,
        seed=0,
        energy_model=energy_models()[0],
        kind=kind,
        weights=weights,
    )


def answer(job: Job) -> Any:
    """Do what the id says, else end well."""
    return _DEEDS.get(job.id.partition(":")[0], _quick)(job)


def _quick(job: Job) -> Outcome:
    return Outcome(job_id=job.id, state=State.COMPLETE, test_accuracy=0.5, weights=job.weights)


def _raise(job: Job) -> Outcome:
    raise ValueError("this one never works")


def _hang_in_c(job: Job) -> Outcome:
    re.match(r"(a+)+$", "a" * 60 + "b")
    return _quick(job)


def _wait_for_file(job: Job) -> Outcome:
    """Write our process id to the file that the id names; end when the file is gone."""
    path = Path(job.id.partition(":")[2])
    path.with_suffix(".new").write_text(str(os.getpid()))
    path.with_suffix(".new").rename(path)
    while path.exists():
        time.sleep(0.05)
    return _quick(job)


def _report(job: Job) -> Outcome:
    size = 2**26  # 64 MiB, above what glibc keeps by itself
    bytes([1]) * size
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytes([1]) * size
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    surroundings = {
        "process": os.getpid(),
        "threads": torch.get_num_threads(),
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "keeps_freed_memory": faults < 2**12,  # 64 MiB are 2**14 pages of 4 KiB
        "ignores_ctrl_c": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
    }
    return Outcome(job_id=job.id, state=State.FAILED, error=json.dumps(surroundings))


_DEEDS: dict[str, Callable[[Job], Any]] = {
    "raise": _raise,
    "hang": lambda job: time.sleep(1e6),
    "hang_in_c": _hang_in_c,
    "exit": lambda job: os._exit(1),
    "segfault": lambda job: ctypes.string_at(0),
    "wait": _wait_for_file,
    "report": _report,
    "no_outcome": lambda job: lambda: job,
    "not_a_number": lambda job: replace(_quick(job), test_accuracy=float("nan")),
    "above_one": lambda job: replace(_quick(job), test_accuracy=1.5),
    "other_job": lambda job: replace(_quick(job), job_id="some other"),
    "unfinished": lambda job: replace(_quick(job), state=State.RUNNING),
    "unscored": lambda job: replace(_quick(job), test_accuracy=None),
}
