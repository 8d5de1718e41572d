"""One worker: runs one job after another in a process of its own, or in the driver's.

Heavy modules are imported when a worker is made, so that a pool can be set up without them.
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

EVALUATE = "spikenas.evaluator:evaluate"  # what a job is given to, as module:function


class Worker:
    """The process behind one seat of a pool.

    Args:
        evaluate: the function from job to outcome, as ``module:function``.
        threads: of PyTorch.
        has_gpu: whether it may see a GPU.
        folders: where the driver finds modules; looked at last.
    """

    def __init__(
        self, evaluate: str, threads: int, *, has_gpu: bool, folders: Sequence[str]
    ) -> None:
        # Ctrl-C in the driver's terminal is the driver's to answer; jobs under way may end well.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.path.extend(folder for folder in folders if folder not in sys.path)
        if not has_gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves GPUs visible to who asked for none
        keep_freed_memory()
        import torch  # noqa: PLC0415  (after the lines above)

        torch.set_num_threads(threads)
        self._run = partial(run_job, resolve_name(evaluate))

    def warm_up(self, data: str | None, samples: "Arrays | None" = None) -> tuple[str, int]:
        """Load a data set (as JSON) if one is named; return this process's host and id.

        ``samples`` are those of the user's own data. Events without a number of steps wait for the
        first job, which says it.
        """
        from spikenas.data import DataSpec, load  # noqa: PLC0415  (as above)

        if data is not None:
            with suppress(Exception):  # a job meets the same error, and its outcome says it
                load(DataSpec.from_dict(json.loads(data)).with_samples(samples))
        return socket.gethostname(), os.getpid()

    def run(self, text: str, weights: bytes | None, samples: "Arrays | None" = None) -> "Message":
        """Run the job of a message; return the message of its outcome."""
        return self._run((text, weights), samples)


def run_job(
    evaluate: "Callable[[Job], Outcome]", message: "Message", samples: "Arrays | None" = None
) -> "Message":
    """Run one job; whatever it raises or wrongly returns becomes a failed outcome.

    A job that cannot even be read is no failure of its candidate: a plugin is missing here, or
    another version of spikenas is installed.
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
    except Exception as error:  # a job may raise anything; the search goes on and records it
        return pack_outcome(
            Outcome(
                job_id=job_id,
                state=State.FAILED,
                error=f"{type(error).__name__}: {error}",
                traceback=traceback.format_exc(),
            )
        )
