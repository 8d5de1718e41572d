"""The multi-step neuron on GPUs: ``multi_step_gpu.py``, compiled by Triton on first use.

Triton comes with PyTorch for CUDA. Currents may be float32, bfloat16 or float16; membranes, sums
and norms are always float32. If Triton is missing, the device is too old, or the kernel fails its
check, `Portable` runs instead, after one notice.
"""

import logging
from collections.abc import Mapping
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from spikenas.nn.kernels.check import fires_as_portable
from spikenas.nn.kernels.dynamics import Affine, Dynamics
from spikenas.nn.kernels.portable import rows_of, step_size

_log = logging.getLogger(__name__)
_CAPABILITY = {torch.float32: (7, 0), torch.float16: (7, 0), torch.bfloat16: (8, 0)}
_CHUNK = 16  # steps that registers hold
_THREADS = 128
_WIDTH = 64  # channels of a tile
_PROGRAMS = 2048  # that share a sum over rows


class GPUKernel:
    """The launches. Tensors are [T, ..., C], dense, channels last; x may have one step."""

    def __init__(self, kernels: ModuleType) -> None:
        self._kernels = kernels

    @staticmethod
    def takes(x: Tensor) -> bool:
        """Whether the kernel supports such currents, if the device does."""
        return x.device.type == "cuda" and x.dtype in _CAPABILITY and x.numel() > 0

    @staticmethod
    def norm_dtype(x: Tensor) -> torch.dtype:
        """Return the dtype of a norm of x: the statistics are float32."""
        return torch.float32

    def forward(
        self, x: Tensor, num_steps: int, dynamics: Dynamics, affine: Affine | None
    ) -> tuple[Tensor, Tensor | int | None]:
        """Return spikes [T, ..., C] of the affine x, and partial counts."""
        spikes = x.new_empty((num_steps, *x.shape[1:]))
        tiles = _Tiles(x, num_steps=num_steps, has_channels=affine is not None)
        counts = x.new_empty(tiles.row_blocks * tiles.channel_blocks, dtype=torch.int32)
        self._launch(
            *("forward", x, len(counts)),
            x,
            step_size(x, num_steps),
            *_numbers(affine)[:2],
            *(spikes, counts, tiles.rows, tiles.channels),
            *_floats(dynamics.c, dynamics.threshold, dynamics.soft_reset),
            constants={"charge": dynamics.charge, **_chunks(num_steps), **tiles.block},
        )
        return spikes, counts

    def backward(
        self, x: Tensor, grad: Tensor, dynamics: Dynamics, affine: Affine | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | float]:
        """Return dL/dy and its sums over rows, see `CPUKernel.backward`; sums are float32."""
        grad_y, num_steps = torch.empty_like(x), grad.shape[0]
        tiles = _Tiles(x, num_steps=num_steps, held=16, has_channels=affine is not None)
        programs = tiles.parts * tiles.channel_blocks
        sums = None if affine is None else tiles.sums(x)
        leaks = x.new_empty(programs, dtype=torch.float32) if dynamics.charge == "learnt" else None
        constants: dict[str, int | str] = {
            "charge": dynamics.charge,
            "surrogate": dynamics.surrogate,
            "is_held": x.shape[0] < num_steps,
            **_chunks(num_steps),
            **tiles.block,
        }
        self._launch(
            *("backward", x, programs),
            x,
            step_size(x, num_steps),
            *_numbers(affine),
            *(grad, grad_y, sums, leaks, tiles.rows, tiles.channels),
            *_floats(dynamics.c, dynamics.threshold, dynamics.soft_reset),
            *_floats(dynamics.dh_dx, dynamics.dh_dv, dynamics.through_reset),
            tiles.repeats,
            constants=constants,
        )
        of_grad, of_grad_x = (None, None) if sums is None else sums.sum(0).unbind(0)
        return grad_y, of_grad, of_grad_x, 0.0 if leaks is None else leaks.sum()

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and biased variance of each channel of [..., C], float32."""
        tiles = _Tiles(x)
        sums = tiles.sums(x)
        mean, variance = x.new_empty((2, tiles.channels), dtype=torch.float32).unbind(0)
        self._launch(
            *("moments", x, tiles.parts * tiles.channel_blocks),
            *(x, sums, tiles.rows, tiles.channels, tiles.repeats),
            constants=tiles.block,
        )
        part_rows = tiles.repeats * tiles.block["block_rows"]
        self._launch(
            *("merge_moments", x, -(-tiles.channels // 8)),
            *(sums, mean, variance, tiles.rows, tiles.channels, tiles.parts, part_rows),
            constants={"block_rows": 64, "block_channels": 8},
        )
        return mean, variance

    def gradient_sums(self, x: Tensor, grad: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums over rows of the gradient, and of gradient times x - centre, float32."""
        tiles = _Tiles(x)
        sums = tiles.sums(x)
        self._launch(
            *("gradient_sums", x, tiles.parts * tiles.channel_blocks),
            *(x, grad, centre, sums, tiles.rows, tiles.channels, tiles.repeats),
            constants=tiles.block,
        )
        of_grad, of_grad_x = sums.sum(0).unbind(0)
        return of_grad, of_grad_x

    def affine(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Return ``scale x + shift`` in the dtype of x."""
        y = torch.empty_like(x)
        self._combine(x, None, scale, None, None, shift, y)
        return y

    def combine_(self, p: Tensor, q: Tensor, numbers: Tensor) -> Tensor:
        """Set p to ``a p + b (q - centre) + d`` in place; the numbers are a, b, centre, d."""
        self._combine(p, q, *numbers.unbind(0), p)
        return p

    def _combine(self, p: Tensor, *rest: Tensor | None) -> None:
        tiles = _Tiles(p)
        programs = tiles.row_blocks * tiles.channel_blocks
        self._launch(
            *("combine", p, programs),
            *(p, *rest, tiles.rows, tiles.channels),
            constants=tiles.block,
        )

    def _launch(
        self,
        name: str,
        on: Tensor,
        programs: int,
        *arguments: Tensor | float | None,
        constants: Mapping[str, int | str],
    ) -> None:
        kernel = getattr(self._kernels, name)
        with torch.cuda.device_of(on):
            kernel[(programs,)](
                *arguments, num_warps=_THREADS // 32, enable_fp_fusion=False, **constants
            )


class _Tiles:
    """How rows x channels are split into tiles; without an affine all membranes are one row.

    Attributes:
        repeats: row blocks per part of a sum; there are ``parts`` parts.
    """

    def __init__(
        self, x: Tensor, *, num_steps: int = 1, held: int = 32, has_channels: bool = True
    ) -> None:
        # Each thread has 16 bytes of neighbours, or as many as its registers hold at every step.
        most = held // _power_of_two_from(min(num_steps, _CHUNK))
        size = _THREADS * min(16 // x.element_size(), most)
        if has_channels:
            self.channels = x.shape[-1]
            self.rows = rows_of(x) if num_steps == 1 else rows_of(x[0])
            even = self.channels & -self.channels  # the largest power of two that divides it
            width = min(_WIDTH, even if even >= 16 else _power_of_two_from(self.channels))
        else:
            self.rows, self.channels, width = 1, x[0].numel(), size
        self.block = {"block_rows": size // width, "block_channels": width}
        self.row_blocks = -(-self.rows // (size // width))
        self.channel_blocks = -(-self.channels // width)
        parts = min(self.row_blocks, max(1, _PROGRAMS // self.channel_blocks))
        self.repeats = -(-self.row_blocks // parts)
        self.parts = -(-self.row_blocks // self.repeats)

    def sums(self, x: Tensor) -> Tensor:
        """Return an empty buffer for two sums per part and channel."""
        return x.new_empty((self.parts, 2, self.channels), dtype=torch.float32)


def _power_of_two_from(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _numbers(affine: Affine | None) -> tuple[Tensor | None, ...]:
    return (None,) * 3 if affine is None else (affine.scale, affine.shift, affine.centre)


def _floats(*numbers: float) -> tuple[float, ...]:
    """Convert to floats, because Triton compiles a kernel for each type of argument."""
    return tuple(map(float, numbers))


def _chunks(num_steps: int) -> dict[str, int]:
    full = (num_steps - 1) // _CHUNK
    return {"rest": num_steps - full * _CHUNK, "full": full, "chunk": _CHUNK}


@cache
def gpu_kernel(device: torch.device, dtype: torch.dtype) -> GPUKernel | None:
    """Return the kernel for such currents; None if there is none, after one notice."""
    kernels = _compiled_by_triton()
    if kernels is None:
        return None
    has, needs = torch.cuda.get_device_capability(device), _CAPABILITY[dtype]
    if has < needs:
        _log.info(
            "neurons of %s on %s run without their GPU kernel: its compute capability is %d.%d, "
            "needed: %d.%d",
            *(dtype, device, *has, *needs),
        )
        return None
    kernel = GPUKernel(kernels)
    try:
        is_right = fires_as_portable(kernel, device, dtype)
    except Exception as error:  # whatever the compiler raises, there is a fallback
        _log.warning("neurons of %s on %s run without their GPU kernel: %s", dtype, device, error)
        return None
    if not is_right:
        _log.warning(
            "neurons of %s on %s run without their GPU kernel: it does not fire as it should",
            *(dtype, device),
        )
        return None
    return kernel


@cache
def _compiled_by_triton() -> ModuleType | None:
    try:
        from spikenas.nn.kernels import multi_step_gpu  # noqa: PLC0415  (imports Triton)
    except ImportError as error:
        _log.info("neurons run without their GPU kernel: %s; pip install triton", error)
        return None
    return multi_step_gpu
