"""Whether a kernel does as it should, tried before it is used: better slow than wrong."""

from typing import Any

import torch
from torch import Tensor

from spikenas.nn.kernels.dynamics import CHARGES, Affine, Dynamics
from spikenas.nn.kernels.portable import Portable
from spikenas.nn.surrogate import SURROGATES


def fires_as_portable(
    kernel: Any, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> bool:
    """Try every charge on a few membranes, ties among them, and the sums of a batch norm.

    The kernel runs on ``device`` with currents of ``dtype``; `Portable` on a CPU in float32.
    """
    with torch.device("cpu"):  # whatever the default is
        return _fires_as_portable(kernel, device, dtype)


def _fires_as_portable(kernel: Any, device: torch.device | str, dtype: torch.dtype) -> bool:
    x = torch.linspace(-1.0, 4.0, 4 * 603, dtype=torch.float32).view(603, 4).t()
    x = x.reshape(4, 201, 3).contiguous()
    x[:, :2] = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float32)
    grad = torch.linspace(-1.0, 1.0, x.numel(), dtype=torch.float32).view_as(x)
    x, grad = (tensor.to(dtype).float() for tensor in (x, grad))
    scale = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float32)
    shift = torch.tensor([0.0, 0.25, -0.5], dtype=torch.float32)
    affine = Affine(scale, shift, shift)
    there = Affine(scale.to(device), shift.to(device), shift.to(device))
    currents, given = (tensor.to(device, dtype) for tensor in (x, grad))
    numbers = torch.stack([scale, shift, scale, shift])
    for found, known in (
        (kernel.moments(currents), Portable().moments(x)),
        (
            kernel.gradient_sums(currents, given, there.centre),
            Portable().gradient_sums(x, grad, shift),
        ),
        (
            [kernel.affine(currents, there.scale, there.shift)],
            [Portable().affine(x, scale, shift)],
        ),
        (
            [kernel.combine_(given.clone(), currents, numbers.to(device))],
            [Portable().combine_(grad.clone(), x, numbers)],
        ),
    ):
        if not _are_close(found, known, dtype):
            return False
    for charge in CHARGES:
        for surrogate in SURROGATES:
            for soft_reset in (False, True):
                dynamics = Dynamics(
                    charge=charge,
                    c=2.0 if charge == "leaky" else 0.5,
                    threshold=1.0,
                    surrogate=surrogate,
                    dh_dx=0.5,
                    dh_dv=0.5,
                    soft_reset=soft_reset,
                    through_reset=soft_reset,
                )
                spikes, count = kernel.forward(currents, 4, dynamics, there)
                expected, _ = Portable().forward(x, 4, dynamics, affine)
                if not spikes.cpu().float().equal(expected):
                    return False
                if torch.as_tensor(count).sum() != int(expected.sum()):
                    return False
                learnt = Portable().backward(x, grad, dynamics, affine)
                if not _are_close(kernel.backward(currents, given, dynamics, there), learnt, dtype):
                    return False
    return True


def _are_close(found: Any, known: Any, dtype: torch.dtype) -> bool:
    tolerance = 1e-3 if dtype is torch.float32 else 2e-2
    pairs: list[tuple[Tensor, Tensor]] = [
        (torch.as_tensor(a).cpu().float(), torch.as_tensor(b).float())
        for a, b in zip(found, known, strict=True)
    ]
    return all(torch.allclose(a, b, rtol=tolerance, atol=tolerance) for a, b in pairs)
