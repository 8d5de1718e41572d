"""Check a backend against `Portable` before it is used."""

from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import Tensor

from spikenas.nn.kernels.backend import Backend
from spikenas.nn.kernels.dynamics import CHARGES, Affine, Dynamics
from spikenas.nn.kernels.portable import Portable
from spikenas.nn.surrogate import SURROGATES

_STEPS = 4
_Numbers = Sequence[Tensor | float | None]


def fires_as_portable(
    backend: Backend, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> bool:
    """Test all dynamics on a few membranes, some exactly at the threshold, and the norm's sums.

    The backend runs on ``device`` with currents of ``dtype``; `Portable` on a CPU in float32.
    """
    with torch.device("cpu"):  # whatever the default device is
        return not any(complaints(backend, device, dtype))


def complaints(backend: Backend, device: torch.device | str, dtype: torch.dtype) -> Iterator[str]:
    """Yield the name of everything in which a backend differs from `Portable`."""
    known = Portable()
    x, grad = (tensor.to(dtype).float() for tensor in _currents_and_gradients())
    scale = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float32)
    shift = torch.tensor([0.0, 0.25, -0.5], dtype=torch.float32)
    affine = Affine(scale, shift, shift)
    there = Affine(scale.to(device), shift.to(device), shift.to(device))
    currents, given = (tensor.to(device, dtype) for tensor in (x, grad))
    rows = torch.stack([scale, shift, scale, shift])
    of_norm: dict[str, tuple[_Numbers, _Numbers]] = {
        "moments": (backend.moments(currents), known.moments(x)),
        "gradient_sums": (
            backend.gradient_sums(currents, given, there.centre),
            known.gradient_sums(x, grad, shift),
        ),
        "affine": (
            [backend.affine(currents, there.scale, there.shift)],
            [known.affine(x, scale, shift)],
        ),
        "combine_": (
            [backend.combine_(given.clone(), currents, rows.to(device))],
            [known.combine_(grad.clone(), x, rows)],
        ),
    }
    yield from (name for name, (a, b) in of_norm.items() if not _are_close(a, b, dtype))
    for dynamics in _every_dynamics():
        spikes, count = backend.forward(currents, _STEPS, dynamics, there)
        expected, _ = known.forward(x, _STEPS, dynamics, affine)
        if not spikes.cpu().float().equal(expected):
            yield f"spikes of {dynamics}"
        if count is not None and torch.as_tensor(count).sum() != int(expected.sum()):
            yield f"the number of spikes of {dynamics}"
        gradients = backend.backward(currents, given, dynamics, there)
        if not _are_close(gradients, known.backward(x, grad, dynamics, affine), dtype):
            yield f"gradients of {dynamics}"


def _currents_and_gradients() -> tuple[Tensor, Tensor]:
    """Return [T, R, C] each; the first rows of currents reach exactly the threshold."""
    x = torch.linspace(-1.0, 4.0, _STEPS * 603, dtype=torch.float32).view(603, _STEPS).t()
    x = x.reshape(_STEPS, 201, 3).contiguous()
    x[:, :2] = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float32)
    return x, torch.linspace(-1.0, 1.0, x.numel(), dtype=torch.float32).view_as(x)


def _every_dynamics() -> Iterator[Dynamics]:
    for charge, surrogate, soft_reset in product(CHARGES, SURROGATES, (False, True)):
        yield Dynamics(
            charge=charge,
            c=2.0 if charge == "leaky" else 0.5,
            threshold=1.0,
            surrogate=surrogate,
            dh_dx=0.5,
            dh_dv=0.5,
            soft_reset=soft_reset,
            through_reset=soft_reset,
        )


def _are_close(found: _Numbers, known: _Numbers, dtype: torch.dtype) -> bool:
    tolerance = 1e-3 if dtype in (torch.float32, torch.float64) else 2e-2
    pairs = [
        (torch.as_tensor(a).cpu().float(), torch.as_tensor(b).float())
        for a, b in zip(found, known, strict=True)
    ]
    return all(torch.allclose(a, b, rtol=tolerance, atol=tolerance) for a, b in pairs)
