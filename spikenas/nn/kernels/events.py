"""Convolutions that compute only with non-zero inputs, by ``events.c`` on CPUs.

Spikes are sparse, so most of a dense product multiplies by zero. Results equal those of the dense
convolution up to rounding, as the order of sums may differ; non-finite weights have no effect where
the input is zero. The gradient of the input is dense. Axes: n images, C, D channels, H, W map.
"""

import ctypes
import logging
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spikenas.nn.kernels.build import build
from spikenas.nn.kernels.first_order import first_order

_log = logging.getLogger(__name__)
_SOURCE = Path(__file__).with_name("events.c")
# Shares of non-zeros from which dense is faster, measured: docs/explanation/speed.md.
_DENSE_FORWARD, _DENSE_GRADIENT = 0.25, 0.2
_LANES, _PARTS = 16, 8  # of the C source
_SAMPLE = 8  # images whose density decides between sparse and dense
_POINTER, _COUNT, _FLAG = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int


class _Shape(ctypes.Structure):
    _fields_ = tuple(
        (name, _COUNT)
        for name in (
            *("images", "height", "width", "channels", "out_height", "out_width", "out_channels"),
            *("kernel_size", "stride", "padding"),
        )
    )


def convolution(x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """Return y [n, D, H', W'] of x [n, C, H, W] and square weights [D, C, k, k].

    ``x`` is processed by events if it is float32 on a CPU, has channels last in memory and few
    non-zeros; otherwise this is PyTorch's convolution.
    """
    is_plain = (
        x.numel() > 0
        and x.shape[1] == weight.shape[1]
        and padding < weight.shape[2] == weight.shape[3] <= min(x.shape[2:]) + 2 * padding
        and not torch.is_autocast_enabled("cpu")
    )
    library = library_for(x.movedim(1, -1), weight) if is_plain else None
    if library is not None:
        share = _share(library, x.movedim(1, -1))
        if share < _DENSE_FORWARD:
            return _Convolution.apply(  # type: ignore[no-untyped-call]
                x, weight, stride, padding, share < _DENSE_GRADIENT
            )
    return F.conv2d(x, weight, stride=stride, padding=padding)


def _share(library: ctypes.CDLL, rows: Tensor) -> float:
    """Return the share of non-zeros in a few images, spread evenly over steps and batch."""
    n, images = rows[0].numel(), len(rows)
    sample = {images * i // _SAMPLE for i in range(_SAMPLE)}
    found: int = sum(library.count_non_zero(rows.data_ptr() + 4 * n * i, n, 1) for i in sample)
    return found / (n * len(sample))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917  (autograd counts arguments by place)
        ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int, has_few: bool
    ) -> Tensor:
        n, C, H, W = x.shape
        D, _, k, _ = weight.shape
        out = [(size + 2 * padding - k) // stride + 1 for size in (H, W)]
        shape = _Shape(n, H, W, C, *out, D, k, stride, padding)
        y = x.new_empty(n, *out, D)
        library = _library()
        assert library is not None
        _forward(library, x, weight, y, shape)
        ctx.save_for_backward(x, weight)
        ctx.shape, ctx.has_few = shape, has_few
        return y.movedim(-1, 1)

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        shape: _Shape = ctx.shape
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        of_x, of_weight, *_ = ctx.needs_input_grad
        is_dense = of_weight and not ctx.has_few
        grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
            *(grad, x, weight, None, [shape.stride] * 2, [shape.padding] * 2, [1, 1]),
            *(False, [0, 0], 1, [of_x, is_dense, False]),
        )
        if of_weight and ctx.has_few:
            library = _library()
            assert library is not None
            grad_weight = torch.empty_like(weight)
            _weight_gradient(library, x, grad.movedim(1, -1).contiguous(), grad_weight, shape)
        return grad_x, grad_weight, None, None, None


def _forward(library: Any, x: Tensor, weight: Tensor, y: Tensor, shape: _Shape) -> None:
    rows = torch.zeros(_padded(shape), device="cpu", dtype=torch.float32)
    threads = torch.get_num_threads()
    room = _room(shape, threads)
    tensors = (x, weight, y, rows, room)
    library.forward(*(each.data_ptr() for each in tensors), shape, threads)


def _weight_gradient(
    library: Any, x: Tensor, grad: Tensor, of_weight: Tensor, shape: _Shape
) -> None:
    sums = torch.zeros(_PARTS * _padded(shape), device="cpu", dtype=torch.float32)
    threads = torch.get_num_threads()
    room = _room(shape, threads)
    tensors = (x, grad, of_weight, sums, room)
    library.weight_gradient(*(each.data_ptr() for each in tensors), shape, threads)


def _padded(shape: _Shape) -> int:
    """Return the size of the weights with output channels padded to whole vectors."""
    wide = -(-shape.out_channels // _LANES) * _LANES
    return shape.kernel_size**2 * shape.channels * wide


def _room(shape: _Shape, threads: int) -> Tensor:
    """Return a buffer for the events of one image per thread."""
    words = shape.height * shape.width * (2 * shape.channels + 1) + 1
    return torch.empty(threads * words, device="cpu", dtype=torch.int32)


def library_for(*tensors: Tensor) -> ctypes.CDLL | None:
    """Return ``events.c`` for dense float32 on CPUs, None for other tensors or if not built."""
    is_read = all(
        x.dtype is torch.float32 and x.device.type == "cpu" and x.is_contiguous() for x in tensors
    )
    return _library() if is_read else None


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(build(_SOURCE)))
    except (OSError, RuntimeError):
        return None  # the notice of the neurons' kernel says why
    for name, pointers, sizes in (("count_non_zero", 1, 1), ("meetings", 2, 3), ("attended", 4, 4)):
        function = getattr(library, name)
        function.restype = _COUNT
        function.argtypes = (*[_POINTER] * pointers, *[_COUNT] * sizes, _FLAG)
    for name in ("forward", "weight_gradient"):
        function = getattr(library, name)
        function.restype, function.argtypes = None, (*[_POINTER] * 5, _Shape, _FLAG)
    if _adds_up(library):
        return library
    _log.warning("convolutions are dense: their C source does not add up as it should")
    return None


def _adds_up(library: Any) -> bool:
    """Test a convolution of a few whole numbers, whose sums are exact in any order."""

    def numbers(*shape: int, modulus: int) -> Tensor:
        whole = torch.arange(prod(shape), device="cpu", dtype=torch.float32) % modulus
        return whole.reshape(shape)

    x = 2.0 * (numbers(2, 5, 4, 3, modulus=7) == 0).to(torch.float32)
    weight = numbers(18, 3, 3, 3, modulus=11) - 5.0
    grad = numbers(2, 3, 2, 18, modulus=5) - 2.0
    shape = _Shape(2, 5, 4, 3, 3, 2, 18, 3, 2, 1)
    y, of_weight = (torch.full_like(known, torch.nan) for known in (grad, weight))
    _forward(library, x, weight, y, shape)
    _weight_gradient(library, x, grad, of_weight, shape)
    maps = x.movedim(-1, 1)
    known = torch.ops.aten.convolution_backward(
        *(grad.movedim(-1, 1), maps, weight, None, [2, 2], [1, 1], [1, 1]),
        *(False, [0, 0], 1, [False, True, False]),
    )[1]
    dense = F.conv2d(maps, weight, stride=2, padding=1).movedim(1, -1)
    counted: int = library.count_non_zero(x.data_ptr(), x.numel(), 1)
    return y.equal(dense) and of_weight.equal(known) and counted == int((x != 0).sum())
