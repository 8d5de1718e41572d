"""The multi-step neuron on CPUs: ``multi_step.c``, built on first use and called by ctypes.

float32 only. For finite currents spikes are bit-identical to those of the definition, and gradients
agree up to rounding. Without a compiler, or if the compiled kernel fails its check, `Portable` runs
instead, after one notice.
"""

import ctypes
import logging
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spikenas.nn.kernels.build import build
from spikenas.nn.kernels.check import fires_as_portable
from spikenas.nn.kernels.dynamics import CHARGES, Affine, Dynamics
from spikenas.nn.kernels.portable import rows_of, step_size

_log = logging.getLogger(__name__)
_SOURCE = Path(__file__).with_name("multi_step.c")
_MAX_STEPS, _PARTS = 64, 32  # of the C source
_POINTER, _COUNT, _REAL, _FLAG = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float, ctypes.c_int
_SLOPES = {"sigmoid": "sigmoid", "atan": "atan_", "dspike": "dspike"}


class CPUKernel:
    """The loaded library. Tensors are [T, ..., C], dense, channels last; x may have one step."""

    def __init__(self, library: ctypes.CDLL) -> None:
        def function(name: str, result: type | None, *arguments: type) -> Any:
            found = getattr(library, name)
            found.restype, found.argtypes = result, arguments
            return found

        sizes, neuron = (_COUNT, _COUNT), (_COUNT, _COUNT, _COUNT, _REAL, _REAL, _FLAG)
        self._forward = {
            charge: function(
                f"forward_{charge}",
                _COUNT,
                *(_POINTER, _COUNT, _POINTER, _POINTER, _POINTER, *neuron, _FLAG),
            )
            for charge in CHARGES
        }
        self._backward = {
            (charge, surrogate): function(
                f"backward_{charge}_{slope}",
                ctypes.c_double,
                *(_POINTER, _COUNT, *[_POINTER] * 8, *neuron, _REAL, _REAL, _FLAG, _FLAG),
            )
            for charge in CHARGES
            for surrogate, slope in _SLOPES.items()
        }
        self._moments = function("moments", None, _POINTER, *sizes, *[_POINTER] * 3, _FLAG)
        self._sums = function(
            "gradient_sums", None, *[_POINTER] * 3, *sizes, *[_POINTER] * 3, _FLAG
        )
        self._combine = function("combine", None, *[_POINTER] * 7, *sizes, _FLAG)

    @staticmethod
    def takes(x: Tensor, num_steps: int) -> bool:
        """Whether the kernel runs on such currents."""
        is_float = x.dtype is torch.float32 and x.device.type == "cpu"
        return is_float and 0 < num_steps <= _MAX_STEPS and x.numel() > 0

    @staticmethod
    def norm_dtype(x: Tensor) -> torch.dtype:
        """Return the dtype of a norm of x."""
        return x.dtype

    def forward(
        self, x: Tensor, num_steps: int, dynamics: Dynamics, affine: Affine | None
    ) -> tuple[Tensor, Tensor | int | None]:
        """Return spikes [T, ..., C] of the affine x, and their number."""
        spikes = x.new_empty((num_steps, *x.shape[1:]))
        rows, channels = _rows_and_channels(x, affine)
        count: int = self._forward[dynamics.charge](
            *(x.data_ptr(), step_size(x, num_steps), *_addresses(affine)[:2], spikes.data_ptr()),
            *(num_steps, rows, channels, dynamics.c, dynamics.threshold, dynamics.soft_reset),
            torch.get_num_threads(),
        )
        return spikes, count

    def backward(
        self, x: Tensor, grad: Tensor, dynamics: Dynamics, affine: Affine | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | float]:
        """Return dL/dy of the affine y, and three sums, see `Backend`."""
        grad_y, num_steps = torch.empty_like(x), grad.shape[0]
        rows, channels = _rows_and_channels(x, affine)
        of_grad, of_grad_x = x.new_empty(channels), x.new_empty(channels)
        sums = _room_for_sums(channels)
        grad_leak: float = self._backward[dynamics.charge, dynamics.surrogate](
            *(x.data_ptr(), step_size(x, num_steps), *_addresses(affine)),
            *(grad.data_ptr(), grad_y.data_ptr()),
            *(of_grad.data_ptr(), of_grad_x.data_ptr(), sums.data_ptr()),
            *(num_steps, rows, channels, dynamics.c, dynamics.threshold, dynamics.soft_reset),
            *(dynamics.dh_dx, dynamics.dh_dv, dynamics.through_reset, torch.get_num_threads()),
        )
        if affine is None:
            return grad_y, None, None, grad_leak
        return grad_y, of_grad, of_grad_x, grad_leak

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and biased variance of each channel of [..., C]."""
        mean, variance = x.new_empty(x.shape[-1]), x.new_empty(x.shape[-1])
        sums = _room_for_sums(x.shape[-1])
        self._moments(
            *(x.data_ptr(), rows_of(x), x.shape[-1], mean.data_ptr(), variance.data_ptr()),
            *(sums.data_ptr(), torch.get_num_threads()),
        )
        return mean, variance

    def gradient_sums(self, x: Tensor, grad: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums over rows of the gradient, and of gradient times x - centre."""
        of_grad, of_grad_x = torch.empty_like(centre), torch.empty_like(centre)
        sums = _room_for_sums(x.shape[-1])
        self._sums(
            *(x.data_ptr(), grad.data_ptr(), centre.data_ptr(), rows_of(x), x.shape[-1]),
            *(of_grad.data_ptr(), of_grad_x.data_ptr(), sums.data_ptr(), torch.get_num_threads()),
        )
        return of_grad, of_grad_x

    def affine(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Return ``scale x + shift``."""
        y = torch.empty_like(x)
        self._combine(
            *(x.data_ptr(), None, scale.data_ptr(), None, None, shift.data_ptr(), y.data_ptr()),
            *(rows_of(x), x.shape[-1], torch.get_num_threads()),
        )
        return y

    def combine_(self, p: Tensor, q: Tensor, numbers: Tensor) -> Tensor:
        """Set p to ``a p + b (q - centre) + d`` in place; the numbers are a, b, centre, d."""
        self._combine(
            *(p.data_ptr(), q.data_ptr(), *(row.data_ptr() for row in numbers)),
            *(p.data_ptr(), rows_of(p), p.shape[-1], torch.get_num_threads()),
        )
        return p


def _room_for_sums(channels: int) -> Tensor:
    return torch.zeros(2 * _PARTS * channels, dtype=torch.float64, device="cpu")


def _rows_and_channels(x: Tensor, affine: Affine | None) -> tuple[int, int]:
    """Return rows and channels; without an affine all membranes are rows of one channel."""
    membranes = x[0].numel()
    channels = 1 if affine is None else x.shape[-1]
    return membranes // channels, channels


def _addresses(affine: Affine | None) -> tuple[int | None, int | None, int | None]:
    if affine is None:
        return None, None, None
    return affine.scale.data_ptr(), affine.shift.data_ptr(), affine.centre.data_ptr()


@cache
def cpu_kernel() -> CPUKernel | None:
    """Return the kernel, built if necessary; None if there is none, after one notice."""
    try:
        kernel = CPUKernel(ctypes.CDLL(str(build(_SOURCE))))
    except (OSError, AttributeError, RuntimeError) as error:
        _log.info("neurons run without their C kernel: %s", error)
        return None
    if not fires_as_portable(kernel):
        _log.warning("neurons run without their C kernel: it does not fire as it should")
        return None
    return kernel
