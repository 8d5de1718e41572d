"""The contract of kernels, for every backend that this machine has."""

import pytest

from spikenas.nn.kernels import Backend
from spikenas.nn.kernels.cpu import cpu_kernel
from spikenas.nn.kernels.portable import Portable
from spikenas.testing import BackendContract


class TestPortable(BackendContract):
    def backend(self) -> Backend:
        return Portable()


class TestCPU(BackendContract):
    def backend(self) -> Backend:
        kernel = cpu_kernel()
        if kernel is None:
            pytest.skip("this machine has no C compiler")
        return kernel


class _Wrong(Portable):
    def affine(self, x, scale, shift):
        return super().affine(x, scale, shift) + 0.1


def test_a_backend_that_adds_wrongly_breaks_the_contract() -> None:
    class Contract(BackendContract):
        def backend(self) -> Backend:
            return _Wrong()

    with pytest.raises(AssertionError, match="affine"):
        Contract().test_it_does_what_the_plain_one_does()
