"""What a GPU kernel must give, as nn/test_gpu_kernels.py asks of a device or Triton's interpreter.

Run as a script it asks the interpreter, which has to be chosen before Triton is imported.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from spikenas.nn.kernels import Dynamics, multi_step
from spikenas.nn.kernels.check import fires_as_portable
from spikenas.nn.kernels.dynamics import Affine
from spikenas.nn.kernels.gpu import GPUKernel, _compiled_by_triton
from spikenas.nn.kernels.portable import Portable
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.neurons.plif import ParametricLIF
from spikenas.nn.operations import BatchNorm

PORTABLE = Portable()
CONSTANTS = {"leaky": 1.7, "decay": 0.5, "learnt": 0.3}
# T, shape of a step, whether it is held, whether a norm precedes
SHAPES = (
    (1, (1,), False, False),
    (2, (5, 1), False, True),
    (4, (3, 37), False, True),
    (4, (129, 48), True, True),
    (16, (2, 70), False, True),
    (16, (3, 5), True, False),
    (19, (7, 3), False, True),
    (48, (2, 5), True, True),
    (4, (1, 2048), False, True),
    (4, (6, 300), False, False),
    (3, (8, 20), True, True),
    (7, (4, 9), False, False),
    (12, (3, 4), False, True),
)
_FEW = (0, 1, 2, 5)  # small enough for the interpreter to run them with every dynamics


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def all_dynamics() -> Iterator[Dynamics]:
    for charge, c in CONSTANTS.items():
        for surrogate in ("atan", "dspike", "sigmoid"):
            for is_soft in (False, True):
                yield Dynamics(
                    charge=charge,
                    c=c,
                    threshold=0.5,
                    surrogate=surrogate,
                    dh_dx=0.6,
                    dh_dv=0.4,
                    soft_reset=is_soft,
                    through_reset=surrogate == "atan",
                )


def close(found: Tensor, known: Tensor, dtype: torch.dtype, size: float = 1.0) -> None:
    """Compare; sums of ``size`` terms have so many roundings."""
    bits = {torch.float32: 3e-6, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}[dtype]
    torch.testing.assert_close(found.cpu().float(), known.float(), rtol=bits, atol=bits * size**0.5)


def check_neuron(
    kernel: GPUKernel, device: str, dtype: torch.dtype, dynamics: Dynamics, case: int
) -> None:
    """Compare forward and backward with Portable on a CPU in float32, of the same currents."""
    T, shape, is_held, has_norm = SHAPES[case]
    x = (0.6 + drawn(1 if is_held else T, *shape, seed=case)).to(dtype).float()
    grad = drawn(T, *shape, seed=case + 1).to(dtype).float()
    affine = Affine(*drawn(3, shape[-1], seed=case + 2).abs().unbind(0)) if has_norm else None
    there = affine and Affine(*(p.to(device) for p in (affine.scale, affine.shift, affine.centre)))
    given = (x.to(device, dtype), grad.to(device, dtype))

    spikes, count = kernel.forward(given[0], T, dynamics, there)
    grad_y, *sums, leak = kernel.backward(*given, dynamics, there)
    known, _ = PORTABLE.forward(x, T, dynamics, affine)
    known_y, *known_sums, known_leak = PORTABLE.backward(x, grad, dynamics, affine)

    assert (spikes.dtype, grad_y.dtype) == (dtype, dtype)
    assert spikes.cpu().float().equal(known), (dynamics, case)
    assert int(count.sum()) == int(known.sum())
    close(grad_y, known_y, dtype, T)
    for mine, theirs in zip(sums, known_sums, strict=True):
        assert (mine is None) is (theirs is None) is (not has_norm)
        if mine is not None:
            close(mine, theirs, torch.float32, 64 * grad.numel() / shape[-1])
    if dynamics.charge == "learnt":
        close(leak, known_leak, torch.float32, 64 * grad.numel())


def check_passes(kernel: GPUKernel, device: str, dtype: torch.dtype) -> None:
    """Compare what batch norm needs with float64; the mean may lie far from zero."""
    wide = 100 if device == "cpu" else 2048
    for rows, channels, offset in ((1, 3, 0.0), (700, 5, 30.0), (257, 33, 0.0), (9, wide, 1.0)):
        x = (offset + drawn(1, rows, channels) * 0.5).to(dtype).float()
        grad, numbers = drawn(1, rows, channels, seed=1).to(dtype).float(), drawn(4, channels)
        here, given = x.to(device, dtype), grad.to(device, dtype)

        mean, variance = kernel.moments(here)
        sums = kernel.gradient_sums(here, given, numbers[2].to(device))
        y = kernel.affine(here, *numbers[:2].to(device))
        combined = kernel.combine_(given.clone(), here, numbers.to(device))

        close(mean, x.double().mean((0, 1)), torch.float32)
        close(variance, x.double().var((0, 1), correction=0), torch.float32)
        for mine, theirs in zip(sums, PORTABLE.gradient_sums(x, grad, numbers[2]), strict=True):
            close(mine, theirs, torch.float32, rows * (1.0 + offset**2))
        close(y, PORTABLE.affine(x, *numbers[:2]), dtype)
        close(combined, PORTABLE.combine_(grad.clone(), x, numbers), dtype, 16)


def check_far_mean(kernel: GPUKernel, device: str) -> None:
    """A variance of 1e-4 about a mean of 100, whose square float32 would not resolve."""
    x = 100.0 + 0.01 * drawn(3000, 4)

    mean, variance = kernel.moments(x.to(device))

    close(mean, x.double().mean(0), torch.float32)
    torch.testing.assert_close(
        variance.cpu().double(), x.double().var(0, correction=0), rtol=1e-3, atol=0.0
    )


def check_repeats(kernel: GPUKernel, device: str) -> None:
    """Equal runs, equal bits; sums in parts, each over several tiles."""
    dynamics = next(dynamics for dynamics in all_dynamics() if dynamics.charge == "learnt")
    x, grad = drawn(2, 300, 3).to(device), drawn(2, 300, 3, seed=1).to(device)
    affine = Affine(*drawn(3, 3, seed=2).to(device).unbind(0))

    first, second = (kernel.backward(x, grad, dynamics, affine) for _ in range(2))

    assert all(a.equal(b) for a, b in zip(first, second, strict=True))


def check_modules(device: str, dtype: torch.dtype) -> None:
    """A batch norm of float32 and a neuron, on currents of ``dtype``, as on a CPU in float32."""
    for is_training in (True, False):
        for make in (LIF, ParametricLIF):
            for is_held in (False, True):
                x = (1.0 + 2.0 * drawn(1 if is_held else 4, 3, 5, 3, 6)).to(dtype).float()
                weights, results = drawn(4, 3, 5, 3, 6, seed=1).to(dtype), []
                for where, of in ((device, dtype), ("cpu", torch.float64)):
                    norm = BatchNorm(5).to(where).train(is_training)
                    neuron = make().to(where)
                    if of is torch.float64:
                        norm.double(), neuron.double()
                    once = x.clone().to(where, of).requires_grad_()
                    spikes = neuron.fire(once, 4, norm.of(once, 4, None))
                    (spikes * weights.to(where, of)).sum().backward()
                    if of is dtype:
                        assert int(neuron.spike_count) == int(spikes.sum())
                        assert neuron.spike_count.dim() == 0
                    results.append((norm, neuron, once, spikes))
                (norm, neuron, once, spikes), (known, slow, other, expected) = results
                assert (spikes.dtype, once.grad.dtype) == (dtype, dtype)
                assert (spikes.cpu() != expected).sum() == 0
                close(once.grad, other.grad, dtype, 4)
                for mine, theirs in zip(norm.parameters(), known.parameters(), strict=True):
                    close(mine.grad, theirs.grad, torch.float32, 1e4)
                for mine, theirs in zip(neuron.parameters(), slow.parameters(), strict=True):
                    close(mine.grad, theirs.grad, torch.float32, 1e5)
                close(norm.running_mean, known.running_mean, torch.float32)
                close(norm.running_var, known.running_var, torch.float32)


def check_custom_op(device: str) -> None:
    """The custom op behind torch.compile counts on the device."""
    x = drawn(4, 3, 5).to(device)
    dynamics = next(all_dynamics())

    spikes, count = torch.ops.spikenas.multi_step(
        *(
            x,
            *(None,) * 5,
            False,
            4,
            dynamics.charge,
            dynamics.c,
            dynamics.threshold,
            dynamics.surrogate,
        ),
        *(dynamics.dh_dx, dynamics.dh_dv, dynamics.soft_reset, dynamics.through_reset),
    )

    assert count.dtype is torch.int64
    assert (count.shape, int(count)) == ((), int(spikes.sum()))
    assert spikes.equal(multi_step(x, 4, dynamics)[0])


def check(kernel: GPUKernel, device: str, dtypes: tuple[torch.dtype, ...]) -> None:
    """Ask everything, of each type; of the slow interpreter less."""
    for dtype in dtypes:
        assert fires_as_portable(kernel, device, dtype)
        check_passes(kernel, device, dtype)
        check_modules(device, dtype)
    for i, dynamics in enumerate(all_dynamics()):
        for case in range(len(SHAPES)):
            if device != "cpu" or case in _FEW or case == i % len(SHAPES):
                check_neuron(kernel, device, dtypes[(i + case) % len(dtypes)], dynamics, case)
    check_far_mean(kernel, device)
    check_repeats(kernel, device)
    check_custom_op(device)


@contextmanager
def chosen_on_cpus(kernel: GPUKernel) -> Iterator[None]:
    """Let the GPU kernel take what lies on a CPU in float32 or less."""
    module = sys.modules["spikenas.nn.kernels.multi_step"]
    takes, cpu_takes, found = GPUKernel.takes, module.CPUKernel.takes, module.gpu_kernel
    GPUKernel.takes = staticmethod(lambda x: x.dtype is not torch.float64)
    module.CPUKernel.takes = staticmethod(lambda *_: False)
    module.gpu_kernel = lambda *_: kernel
    try:
        yield
    finally:
        GPUKernel.takes, module.CPUKernel.takes = staticmethod(takes), staticmethod(cpu_takes)
        module.gpu_kernel = found


if __name__ == "__main__":
    assert os.environ["TRITON_INTERPRET"] == "1"
    kernels = _compiled_by_triton()
    assert kernels is not None
    with chosen_on_cpus(GPUKernel(kernels)):
        check(GPUKernel(kernels), "cpu", (torch.float32, torch.bfloat16, torch.float16))
