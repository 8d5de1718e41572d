"""Pools of workers that run jobs, behind one protocol and configured by a worker profile.

A worker is a function from job to result. It accesses neither the database nor other workers, so
the job of a lost worker is simply submitted again. Importing this package does not import torch or
ray.
"""

from spikenas.distributed.inline_pool import InlinePool
from spikenas.distributed.pool import WorkerPool, open_pool

__all__ = ["InlinePool", "WorkerPool", "open_pool"]
