"""The messages between driver and worker: JSON text and the bytes of weights.

Only the samples of a user's own data are sent differently: as arrays, once for all jobs.

The driver validates each result, so that a broken plugin, or another version of spikenas on a
node, causes a failed job and not an invalid row in the store.
"""

import json
from dataclasses import replace

from spikenas.data import Arrays
from spikenas.evaluation import State
from spikenas.evaluator import Job, Outcome
from spikenas.figures import FIGURES

Message = tuple[str, bytes | None]


def pack_job(job: Job) -> Message:
    """Return the job as text, and its weights."""
    return json.dumps(job.to_dict(), allow_nan=False), job.weights


def unpack_job(message: Message, samples: Arrays | None = None) -> Job:
    """Return the job of a message; ``samples`` are those of a user's own data."""
    text, weights = message
    job = Job.from_dict(json.loads(text))
    return replace(job, weights=weights, data=job.data.with_samples(samples))


def pack_outcome(outcome: Outcome) -> Message:
    """Return the outcome as text, and its weights; raises if it is not plain finite data."""
    if not isinstance(outcome, Outcome):
        raise TypeError(f"the job returned {type(outcome).__name__}, not an Outcome")
    return json.dumps(outcome.to_dict(), allow_nan=False), outcome.weights


def unpack_outcome(message: Message, job: Job) -> Outcome:
    """Return the outcome of a message; a failed one if it is invalid or not of this job."""
    try:
        text, weights = message
        outcome = replace(Outcome.from_dict(json.loads(text)), weights=weights)
        complaint = _complaint(outcome, job)
    except (ValueError, TypeError, LookupError) as error:
        complaint = f"{type(error).__name__}: {error}"
    if complaint is None:
        return outcome
    return Outcome(
        job_id=job.id,
        state=State.FAILED,
        error=f"the worker's answer cannot be used: {complaint}",
    )


def _complaint(outcome: Outcome, job: Job) -> str | None:
    if outcome.job_id != job.id:
        return f"it is about job {outcome.job_id!r}, not {job.id!r}"
    if not outcome.state.is_final:
        return f"its state is {outcome.state.value!r}, which is not final"
    if outcome.state is not State.COMPLETE:
        return None
    if job.kind == "test":
        return FIGURES["test_accuracy"].complaint(outcome.test_accuracy)
    if outcome.evaluation is None:
        return "it is complete, but without an evaluation"
    return outcome.evaluation.complaint()
