"""How the C sources are built, and what happens where they cannot be."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spikenas.nn.kernels import cpu as kernels
from spikenas.nn.kernels.build import build
from spikenas.nn.kernels.cpu import cpu_kernel
from spikenas.nn.neurons.lif import LIF

SOURCE = Path(kernels.__file__).with_name("multi_step.c")
needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="no C compiler here"
)


@pytest.fixture
def no_kernel_yet():
    cpu_kernel.cache_clear()
    yield
    cpu_kernel.cache_clear()


def currents(*shape):
    return 0.6 + torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_without_a_compiler_there_is_a_notice_and_the_portable_path(
    monkeypatch, caplog, tmp_path, no_kernel_yet
):
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("SPIKENAS_CACHE", str(tmp_path))
    caplog.set_level(logging.INFO)
    neuron, x = LIF(), currents(4, 50)

    assert neuron(x).equal(neuron.definition(x))
    neuron(x)

    assert [r.message for r in caplog.records] == [
        "neurons run without their C kernel: no C compiler found (no-such-compiler); install gcc"
    ]


def test_a_broken_compiler_gives_the_portable_path(monkeypatch, caplog, tmp_path, no_kernel_yet):
    compiler = tmp_path / "broken"
    compiler.write_text("#!/bin/sh\necho 'it is broken' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("SPIKENAS_CACHE", str(tmp_path / "cache"))
    caplog.set_level(logging.INFO)

    assert cpu_kernel() is None
    assert "fails: it is broken" in caplog.text
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_an_unwritable_cache_gives_the_portable_path(monkeypatch, tmp_path, no_kernel_yet):
    (tmp_path / "kernels").write_text("a file where the folder should be")
    monkeypatch.setenv("SPIKENAS_CACHE", str(tmp_path))

    assert cpu_kernel() is None


@needs_compiler
def test_a_build_that_fires_wrongly_is_not_used(monkeypatch, caplog, tmp_path, no_kernel_yet):
    wrong = tmp_path / "multi_step.c"
    wrong.write_text(SOURCE.read_text().replace("h >= threshold", "h > threshold"))
    monkeypatch.setattr(kernels, "_SOURCE", wrong)
    monkeypatch.setenv("SPIKENAS_CACHE", str(tmp_path / "cache"))

    assert cpu_kernel() is None
    assert "it does not fire as it should" in caplog.text


@needs_compiler
def test_two_processes_may_build_at_once(tmp_path):
    code = (
        "from spikenas.nn.kernels.build import build; from pathlib import Path; "
        f"print(build(Path({str(SOURCE)!r})))"
    )
    environment = {**os.environ, "SPIKENAS_CACHE": str(tmp_path)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]

    built = {process.communicate()[0].strip() for process in running}

    assert len(built) == 1
    assert [file.name for file in tmp_path.rglob("*.*")] == [Path(built.pop()).name]


@needs_compiler
def test_the_loops_are_vectorised(tmp_path):
    report = subprocess.run(
        [
            *("gcc", "-O3", "-march=native", "-std=c11", "-fopenmp", "-ffp-contract=off"),
            *("-fno-math-errno", "-fno-trapping-math", "-fopt-info-vec", "-c", str(SOURCE)),
            *("-o", str(tmp_path / "out.o")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if report.returncode:
        pytest.skip("no gcc here")

    loops = report.stderr.count("loop vectorized")

    assert loops >= 3 + 3 * 3 * 2  # each forward, and both passes of each backward
    assert build(SOURCE).is_file()
