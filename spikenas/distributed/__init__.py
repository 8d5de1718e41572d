"""Where jobs run: pools of workers behind one protocol, set up by a worker profile.

A worker is a function from job to result. It sees no database and no other worker, so a lost one
is a job that is submitted again. Importing this package imports neither torch nor ray.
"""

from spikenas.distributed.inline_pool import InlinePool
from spikenas.distributed.pool import WorkerPool, open_pool

__all__ = ["InlinePool", "WorkerPool", "open_pool"]
