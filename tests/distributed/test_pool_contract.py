"""The contract of worker pools, for both of ours."""

import pytest

from spikenas.distributed import InlinePool, WorkerPool, open_pool
from spikenas.testing import WorkerPoolContract
from spikenas.worker_profile import WorkerProfile


class TestInline(WorkerPoolContract):
    def pool(self) -> WorkerPool:
        return InlinePool()


@pytest.mark.slow
class TestRay(WorkerPoolContract):
    def pool(self) -> WorkerPool:
        return open_pool(WorkerProfile(num_workers=2))
