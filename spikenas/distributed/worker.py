"""One worker: runs one job after another in its own process, or in the driver's.

Heavy modules are imported when a worker is created, so that the driver can create pools without
them.
"""

import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from spikenas.distributed.allocator import keep_freed_memory

if TYPE_CHECKING:
    from spikenas.data import Arrays
    from spikenas.distributed.serialization import Message
    from spikenas.evaluator import Job, Outcome

EVALUATE = "spikenas.evaluator:evaluate"  # the default function that runs jobs


class Worker:
    """The process of one worker of a pool.

    Args:
        evaluate: the function from job to outcome, as ``module:function``.
        threads: of PyTorch.
        has_gpu: whether it may use a GPU.
        folders: where the driver finds modules; appended to ``sys.path``.
    """

    def __init__(
        self, evaluate: str, threads: int, *, has_gpu: bool, folders: Sequence[str]
    ) -> None:
        # Ctrl-C in the terminal is handled by the driver; running jobs may end normally.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.path.extend(folder for folder in folders if folder not in sys.path)
        if not has_gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves GPUs visible to all workers
        keep_freed_memory()
        import torch  # noqa: PLC0415  (after the lines above)

        torch.set_num_threads(threads)
        self._run = partial(run_job, resolve_name(evaluate))

    def warm_up(self, data: str | None, samples: "Arrays | None" = None) -> tuple[str, int]:
        """Load a data set (as JSON) if one is given; return the host and the process id.

        ``samples`` are those of a user's own data. Events without a number of steps are loaded by
        the first job, which has it.
        """
        from spikenas.data import DataSpec, load  # noqa: PLC0415  (as above)

        if data is not None:
            with suppress(Exception):  # the first job gets the same error and reports it
                load(DataSpec.from_dict(json.loads(data)).with_samples(samples))
        return socket.gethostname(), os.getpid()

    def run(self, text: str, weights: bytes | None, samples: "Arrays | None" = None) -> "Message":
        """Run the job of a message; return the message of its outcome."""
        return self._run((text, weights), samples)


def run_job(
    evaluate: "Callable[[Job], Outcome]", message: "Message", samples: "Arrays | None" = None
) -> "Message":
    """Run one job; an exception or a wrong return value becomes a failed outcome.

    If the job itself cannot be read, a plugin is missing here or another version of spikenas is
    installed, so the failure is not one of the candidate.
    """
    from spikenas.distributed.serialization import pack_outcome, unpack_job  # noqa: PLC0415  (imports torch)
    from spikenas.evaluation import State  # noqa: PLC0415
    from spikenas.evaluator import Outcome  # noqa: PLC0415

    job_id = str(json.loads(message[0]).get("id", ""))
    try:
        job = unpack_job(message, samples)
    except Exception as error:  # importing a plugin may raise anything
        return pack_outcome(
            Outcome(
                job_id=job_id,
                state=State.FAILED,
                error=f"on {socket.gethostname()}: {type(error).__name__}: {error}",
                traceback=traceback.format_exc(),
                fault="code",
            )
        )
    try:
        return pack_outcome(evaluate(job))
    except Exception as error:  # a job may raise anything; the search records it and continues
        return pack_outcome(
            Outcome(
                job_id=job_id,
                state=State.FAILED,
                error=f"{type(error).__name__}: {error}",
                traceback=traceback.format_exc(),
            )
        )
