"""The multi-step neuron on CPUs: ``multi_step.c``, built on first use and called by ctypes.

float32 only. For finite currents spikes are bit for bit those of the definition, and gradients
agree to rounding. Without a compiler, or where the result of the build cannot be trusted, there is
no kernel and the portable path in `spikenas.nn.neurons.neuron` runs; one notice says why.
"""

import ctypes
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from spikenas.nn.kernels.build import build
from spikenas.nn.surrogate import SURROGATES

_log = logging.getLogger(__name__)
_SOURCE = Path(__file__).with_name("multi_step.c")
_MAX_STEPS = 64  # of the C source
_POINTER, _COUNT, _REAL, _FLAG = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float, ctypes.c_int
LAWS = ("leaky", "integrate", "decay", "learnt")
SLOPES = {"sigmoid": "sigmoid", "atan": "atan_", "dspike": "dspike"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """How a membrane charges, in the words of ``multi_step.c``, and how the spike is passed back.

    Attributes:
        name: ``leaky`` v + (x - v) / c, ``integrate`` v + x, ``decay`` x + c v, ``learnt``
            v + c (x - v).
        slope: name of the surrogate.
        through_reset: whether gradients pass the reset.
    """

    name: str
    c: float
    threshold: float
    slope: str
    dh_dx: float
    dh_dv: float
    through_reset: bool


class CPUKernel:
    """The loaded library."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._forward, self._backward = {}, {}
        for law in LAWS:
            forward = getattr(library, f"forward_{law}")
            forward.restype = None
            forward.argtypes = (_POINTER, _POINTER, _COUNT, _COUNT, _REAL, _REAL, _FLAG)
            self._forward[law] = forward
            for name, slope in SLOPES.items():
                backward = getattr(library, f"backward_{law}_{slope}")
                backward.restype = ctypes.c_double
                backward.argtypes = (
                    *(_POINTER, _POINTER, _POINTER, _COUNT, _COUNT),
                    *(_REAL, _REAL, _REAL, _REAL, _FLAG, _FLAG),
                )
                self._backward[law, name] = backward

    @staticmethod
    def takes(x: Tensor) -> bool:
        """Whether the kernel runs on such currents."""
        is_float = x.dtype is torch.float32 and x.device.type == "cpu"
        return is_float and 0 < x.shape[0] <= _MAX_STEPS and x.numel() > 0

    def forward(self, x: Tensor, law: Law) -> Tensor:
        """Return spikes of contiguous currents [T, ...]."""
        spikes = torch.empty_like(x)
        self._forward[law.name](
            x.data_ptr(),
            spikes.data_ptr(),
            *_sizes(x),
            law.c,
            law.threshold,
            torch.get_num_threads(),
        )
        return spikes

    def backward(self, x: Tensor, grad: Tensor, law: Law) -> tuple[Tensor, float]:
        """Return dL/dx and, summed over all, dL/dc of a learnt leak."""
        grad_x = torch.empty_like(x)
        grad_leak: float = self._backward[law.name, law.slope](
            x.data_ptr(),
            grad.data_ptr(),
            grad_x.data_ptr(),
            *_sizes(x),
            law.c,
            law.threshold,
            law.dh_dx,
            law.dh_dv,
            int(law.through_reset),
            torch.get_num_threads(),
        )
        return grad_x, grad_leak


def _sizes(x: Tensor) -> tuple[int, int]:
    return x.shape[0], x[0].numel()


@cache
def cpu_kernel() -> CPUKernel | None:
    """Return the kernel, built if need be; None where there is none, after one notice."""
    try:
        kernel = CPUKernel(ctypes.CDLL(str(build(_SOURCE))))
    except (OSError, AttributeError, RuntimeError) as error:
        _log.info("neurons run without their C kernel: %s", error)
        return None
    if not _fires_as_defined(kernel):
        _log.warning("neurons run without their C kernel: it does not fire as it should")
        return None
    return kernel


def _fires_as_defined(kernel: CPUKernel) -> bool:
    """Try every law and slope on a few membranes, ties among them: better slow than wrong."""
    x = torch.linspace(-1.0, 4.0, 4 * 601).view(601, 4).t().contiguous()
    x[:, :2] = torch.tensor([2.0, 1.0])
    charges: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "leaky": lambda x, v: v + (x - v) / 2.0,
        "integrate": lambda x, v: v + x,
        "decay": lambda x, v: x + 0.5 * v,
        "learnt": lambda x, v: v + (x - v) * 0.5,
    }
    for name, charge in charges.items():
        v, expected = torch.zeros(601), []
        for x_t in x.unbind(0):
            h = charge(x_t, v)
            expected.append((h >= 1.0).float())
            v = h * (1.0 - expected[-1])
        for slope in SLOPES:
            law = Law(
                name=name,
                c=2.0 if name == "leaky" else 0.5,
                threshold=1.0,
                slope=slope,
                dh_dx=1.0,
                dh_dv=0.5,
                through_reset=False,
            )
            if not kernel.forward(x, law).equal(torch.stack(expected)):
                return False
            grad, _ = kernel.backward(x[:1], torch.ones_like(x[:1]), law)
            known = SURROGATES[slope](charge(x[0], torch.zeros(601)) - 1.0)
            if not torch.allclose(grad[0], known, rtol=1e-4, atol=1e-5):
                return False
    return True
