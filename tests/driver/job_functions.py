"""What workers run in these tests instead of training: functions from job to outcome."""

import errno
from dataclasses import replace
from pathlib import Path
from unittest import mock

from spikenas.evaluation import State
from spikenas.evaluator import Job, Outcome, evaluate

_CALLS = Path("calls.txt")  # in the test's own folder


def counted(job: Job) -> Outcome:
    """Train, and note it."""
    with _CALLS.open("a", encoding="utf-8") as file:
        file.write(f"{job.kind} {job.architecture.key}\n")
    return evaluate(job)


def calls(kind: str = "train") -> list[str]:
    """Return the keys of what `counted` was given."""
    lines = _CALLS.read_text(encoding="utf-8").splitlines() if _CALLS.exists() else []
    return [line.partition(" ")[2] for line in lines if line.startswith(kind)]


def failing_for_if(job: Job) -> Outcome:
    """Raise for networks of IF neurons, as a component with a fault would."""
    if job.architecture.neuron == "if" and job.kind == "train":
        raise RuntimeError("no such kernel")
    return evaluate(job)


def diverging(job: Job) -> Outcome:
    """Meet a non-finite loss, always."""
    return Outcome(job_id=job.id, state=State.DIVERGED, error="loss is nan in epoch 1")


def lost_at_first(job: Job) -> Outcome:
    """Lose the worker of each training once."""
    before = calls()
    outcome = counted(job)
    if job.kind == "train" and job.architecture.key not in before:
        return Outcome(job_id=job.id, state=State.LOST, error="the worker died")
    return outcome


def lost_in_tests(job: Job) -> Outcome:
    """Lose the worker of each test once, and meet a full disk in the next."""
    outcome = counted(job)
    tries = calls("test").count(job.architecture.key)
    if job.kind == "test" and tries == 1:
        return Outcome(job_id=job.id, state=State.LOST, error="the worker died")
    if job.kind == "test" and tries == 2:
        return replace(outcome, fault="machine", error="no space")
    return outcome


def lost_always(job: Job) -> Outcome:
    """Lose the worker of each training."""
    counted(job)
    return Outcome(job_id=job.id, state=State.LOST, error="the worker died")


def disk_full(job: Job) -> Outcome:
    """Run on a machine whose disk is full."""
    with mock.patch("spikenas.evaluator.train", side_effect=OSError(errno.ENOSPC, "no space")):
        return evaluate(job)


def no_memory_for_data(job: Job) -> Outcome:
    """Run on a machine that cannot hold the data."""
    with mock.patch("spikenas.evaluator.load", side_effect=MemoryError()):
        return evaluate(job)


def no_plugin(job: Job) -> Outcome:
    """Answer as a worker does that lacks a plugin."""
    return Outcome(job_id=job.id, state=State.FAILED, error="no my_lab here", fault="code")


def full_at_first(job: Job) -> Outcome:
    """Meet a full disk twice, then train."""
    before = len(calls())
    outcome = counted(job)
    return disk_full(job) if before in (1, 2) else outcome


def lacking_a_table_for_if(job: Job) -> Outcome:
    """Miss a file of one's own in networks of IF neurons, whatever the machine has."""
    if job.architecture.neuron == "if" and job.kind == "train":
        counted(job)
        error = "FileNotFoundError: table.bin"
        return Outcome(job_id=job.id, state=State.FAILED, error=error, fault="machine")
    return evaluate(job)
