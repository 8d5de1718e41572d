"""A driver for the tests: runs the jobs named on the command line.

On a Ray of its own, or on the one that RAY_ADDRESS names. Prints one line for each outcome.
Ctrl-C is met by letting the jobs under way end.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from faulty_jobs import make_job

from spikenas.distributed.ray_pool import RayPool
from spikenas.worker_profile import WorkerProfile


def main(job_ids: list[str]) -> None:
    """Run the jobs to their end."""
    signal.signal(signal.SIGTERM, _stop)
    address = "auto" if "RAY_ADDRESS" in os.environ else "local"
    with RayPool(WorkerProfile(num_workers=2, address=address), "faulty_jobs:answer") as pool:
        for job_id in job_ids:
            pool.submit(make_job(job_id))
        left = len(job_ids)
        while left:
            try:
                outcome = pool.next_result(0.2)
            except KeyboardInterrupt:
                _say("interrupted")
                for job_id in job_ids:
                    Path(job_id.partition(":")[2]).unlink(missing_ok=True)
                continue
            if outcome is not None:
                left -= 1
                _say(outcome.state.value)
    _say("closed")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main(sys.argv[1:])
