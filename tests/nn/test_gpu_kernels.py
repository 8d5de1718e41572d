"""The GPU kernel: by Triton's interpreter here, on a CUDA device where there is one."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gpu_comparisons import check

from spikenas.nn.kernels import backend_of, gpu
from spikenas.nn.kernels.gpu import GPUKernel, gpu_kernel
from spikenas.nn.kernels.portable import Portable

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@pytest.fixture
def no_kernel_yet():
    caches = gpu_kernel, gpu._compiled_by_triton
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.mark.slow
def test_the_kernel_fires_and_learns_as_portable_under_the_interpreter():
    # The interpreter of 3.4 does not run with numpy 2.4.
    pytest.importorskip("triton", minversion="3.7")
    script = Path(__file__).parents[1] / "gpu_comparisons.py"
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_kernel_fires_and_learns_as_portable_on_a_gpu():
    dtypes = [t for t in DTYPES if gpu_kernel(torch.device("cuda", 0), t)]
    assert torch.float32 in dtypes, "the kernel refuses this device; its log line says why"

    check(gpu_kernel(torch.device("cuda", 0), torch.float32), "cuda:0", tuple(dtypes))


def test_currents_on_a_cpu_are_not_for_the_gpu_kernel():
    assert not any(GPUKernel.takes(torch.zeros(3, 4, dtype=dtype)) for dtype in DTYPES)
    assert type(backend_of(torch.zeros(3, 4).bfloat16())) is Portable


def test_the_kernel_is_imported_only_for_a_gpu():
    code = "import sys, torch, spikenas.nn.kernels as k; k.backend_of(torch.zeros(2, 3)); "
    code += "print('triton' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_without_triton_there_is_one_notice(monkeypatch, caplog, no_kernel_yet):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "spikenas.nn.kernels.multi_step_gpu", raising=False)
    caplog.set_level(logging.INFO)

    found = [gpu_kernel(torch.device("cuda", 0), dtype) for dtype in DTYPES]

    assert found == [None] * 3
    (record,) = caplog.records
    assert "neurons run without their GPU kernel" in record.message


def test_an_old_device_is_told_with_what_is_needed(monkeypatch, caplog, no_kernel_yet):
    monkeypatch.setattr(gpu, "_compiled_by_triton", lambda: sys)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    caplog.set_level(logging.INFO)

    assert gpu_kernel(torch.device("cuda", 0), torch.bfloat16) is None
    (record,) = caplog.records
    assert record.message.endswith("its compute capability is 7.5, needed: 8.0")


@pytest.mark.parametrize("outcome", [False, RuntimeError("no ptxas")], ids=["wrong", "broken"])
def test_a_kernel_that_fails_its_check_is_not_used(monkeypatch, caplog, outcome, no_kernel_yet):
    def checked(*_):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(gpu, "_compiled_by_triton", lambda: sys)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(gpu, "fires_as_portable", checked)

    assert gpu_kernel(torch.device("cuda", 0), torch.float32) is None
    (record,) = caplog.records
    assert "no ptxas" in record.message or "does not fire as it should" in record.message
