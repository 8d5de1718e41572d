"""The C kernel against the definition, and what happens where it cannot be built."""

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
from spikenas.nn.kernels.cpu import CPUKernel, cpu_kernel
from spikenas.nn.neurons.integrate_and_fire import IntegrateAndFire
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.neurons.plif import ParametricLIF
from spikenas.nn.neurons.stmixer_lif import STMixerLIF

SOURCE = Path(kernels.__file__).with_name("multi_step.c")
NEURONS = {
    "lif": lambda slope: LIF(tau=1.7, v_threshold=0.5, surrogate=slope),
    "if": lambda slope: IntegrateAndFire(surrogate=slope),
    "stmixer_lif": lambda _: STMixerLIF(v_threshold=0.75),
    "plif": lambda slope: ParametricLIF(tau=3.0, surrogate=slope),
}
needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="no C compiler here"
)


@pytest.fixture
def no_kernel_yet():
    cpu_kernel.cache_clear()
    yield
    cpu_kernel.cache_clear()


def currents(*shape, seed=0):
    return 0.6 + torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gradients(neuron, run, x, weights):
    """Return spikes, the gradient of the currents and that of a learnt leak."""
    x = x.clone().requires_grad_()
    neuron.zero_grad()
    spikes = run(x)
    (spikes * weights).sum().backward()
    leak = [p.grad.clone() for p in neuron.parameters()]
    return spikes.detach(), x.grad, leak


@needs_compiler
@pytest.mark.parametrize("slope", ["atan", "dspike", "sigmoid"])
@pytest.mark.parametrize("name", NEURONS)
def test_the_kernel_fires_and_learns_as_the_definition(name, slope):
    assert cpu_kernel() is not None
    neuron = NEURONS[name](slope)
    for T in (1, 2, 3, 4, 7, 16, 64):
        for shape in ((1,), (2, 3, 37), (4, 16, 33)):
            x, weights = currents(T, *shape), currents(T, *shape, seed=1)

            found = gradients(neuron, neuron, x, weights)
            expected = gradients(neuron, neuron.definition, x, weights)

            assert found[0].equal(expected[0])
            torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=2e-6)
            torch.testing.assert_close(found[2], expected[2], rtol=1e-4, atol=1e-4)


@needs_compiler
def test_ties_fire_in_the_kernel():
    for threshold in (0.5, 1.0, 2.5):
        x = torch.full((1, 300), 2.0 * threshold)

        assert LIF(tau=2.0, v_threshold=threshold)(x).sum() == 300


@needs_compiler
def test_currents_need_not_be_contiguous():
    x = currents(5, 6, 7).permute(0, 2, 1)
    neuron = LIF()

    assert neuron(x).equal(neuron.definition(x))


@pytest.mark.parametrize(
    "x",
    [
        currents(3, 4).double(),
        currents(3, 4).bfloat16(),
        currents(3, 0, 4),
        currents(65, 4),
        currents(3, 4).to("meta"),
    ],
    ids=["float64", "bfloat16", "empty", "65 steps", "meta"],
)
def test_other_currents_take_the_portable_path(x):
    assert not CPUKernel.takes(x)
    assert LIF()(x).shape == x.shape


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
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPIKENAS_CACHE", str(tmp_path / "file"))

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

    assert loops >= 4 + 3 * 4 * 2  # each forward, and both passes of each backward
    assert build(SOURCE).is_file()
