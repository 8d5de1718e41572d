"""Time LIF, and batch norm with LIF, forward and backward: scripts/bench neuron [options].

Peers: `LIFNode` of SpikingJelly 2.0, after `BatchNorm2d` of PyTorch for the second. The limit of
either is what must cross memory: 20 bytes an element for LIF (forward reads currents and writes
spikes, backward reads gradient and currents and writes a gradient), 32 with batch norm, whose
statistics take one more pass each way. Bandwidth is that of ``copy_`` of as many elements in the
same rounds.
First use: two new processes train one step of a tiny network, the first with an empty cache; what
it takes longer is the build of the kernels.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from measuring import Result, Rounds, alternate, options, print_document, without_compiler
from peers.neurons import lif, reset
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.operations import BatchNorm

_SHAPE = (4, 32, 128, 16, 16)  # T, B, C, H, W
_LIF_BYTES, _NORM_LIF_BYTES, _COPY_BYTES = 20, 32, 8  # an element of float32
_BARS = {"lif": 8.0, "norm_lif": 6.0, "share": 0.8, "first_use_s": 5.0}
_BARS_WITHOUT_COMPILER = {"lif": 2.0}


def main() -> None:
    """Measure and print one JSON document."""
    parser = options(__doc__)
    parser.add_argument("--calls", type=int, default=5, help="of each side in a round")
    given = parser.parse_args()
    bars = _BARS_WITHOUT_COMPILER if without_compiler(given) else _BARS
    print_document(
        "neuron",
        partial(_measure, given.rounds, given.calls, bars),
        threads=given.threads,
        settings={"shape": _SHAPE, "calls": given.calls, "compiler": bars is _BARS},
    )


def _measure(rounds: int, calls: int, bars: dict[str, float]) -> Iterator[Result]:
    generator = torch.Generator().manual_seed(0)
    x, grad = (torch.randn(_SHAPE, generator=generator) for _ in range(2))
    time = partial(alternate, rounds=rounds, calls=calls)
    target = torch.empty_like(x)

    def copy() -> None:
        target.copy_(x)

    currents = 1.5 * x  # spikes at a rate of a fifth
    ours, peer = LIF(), lif()
    equal = _differences(ours, peer, currents, grad)
    timed = time(
        {
            "ours": partial(_run, ours, currents, grad),
            "peer": partial(_run, peer, currents, grad),
            "copy": copy,
        }
    )
    yield _result("LIF", timed, bars.get("lif"), equal)
    yield _share("LIF, share of copy bandwidth", timed, "ours", _LIF_BYTES, bars.get("share"))

    normed, theirs = NormLIF(), TheirNormLIF()
    equal = _differences(normed, theirs, x, grad)
    last = {"memory_format": torch.channels_last}
    x_last, grad_last = (
        each.flatten(0, 1).contiguous(**last).unflatten(0, _SHAPE[:2]) for each in (x, grad)
    )
    timed = time(
        {
            "ours": partial(_run, normed, x_last, grad_last),
            "ours, channels first": partial(_run, normed, x, grad),
            "peer": partial(_run, theirs, x, grad),
            "copy": copy,
        }
    )
    yield _result("batch norm + LIF", timed, bars.get("norm_lif"), equal)
    name = "batch norm + LIF, share of copy bandwidth"
    yield _share(name, timed, "ours", _NORM_LIF_BYTES, None)
    yield Result.of_rounds(
        "batch norm + LIF, channels first", timed, ours="ours, channels first", bar=None
    )
    if "first_use_s" in bars:
        yield _first_use(bars["first_use_s"])


class NormLIF(nn.Module):
    """Ours, as the network runs them."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.neuron = BatchNorm(_SHAPE[2]), LIF()

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes [T, B, C, H, W]."""
        return self.neuron.fire(x, len(x), self.norm.of(x, len(x), None))


class TheirNormLIF(nn.Module):
    """PyTorch's batch norm and SpikingJelly's LIF."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.neuron = nn.BatchNorm2d(_SHAPE[2]), lif()

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes [T, B, C, H, W]."""
        spikes: Tensor = self.neuron(self.norm(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
        return spikes


def _run(module: nn.Module, x: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """Run forward and backward; return spikes and the gradient of the currents."""
    x = x.detach().requires_grad_()
    spikes = module(x)
    spikes.backward(grad)
    reset(module)
    assert x.grad is not None
    return spikes.detach(), x.grad


def _differences(ours: nn.Module, peer: nn.Module, x: Tensor, grad: Tensor) -> dict[str, float]:
    (spikes, gradient), (their_spikes, their_gradient) = (_run(m, x, grad) for m in (ours, peer))
    return {
        "spikes_that_differ": int((spikes != their_spikes).sum()),
        "of": spikes.numel(),
        "spike_rate": round(float(spikes.mean()), 4),
        "largest_gradient_difference": float((gradient - their_gradient).abs().max()),
        "relative_gradient_difference": float(
            (gradient - their_gradient).norm() / their_gradient.norm()
        ),
    }


def _result(
    name: str, timed: dict[str, Rounds], bar: float | None, equal: dict[str, float]
) -> Result:
    return Result.of_rounds(f"{name}, forward and backward", timed, bar=bar, equality=equal)


def _share(
    name: str, timed: dict[str, Rounds], side: str, num_bytes: int, bar: float | None
) -> Result:
    """Return the time that the bytes need at the bandwidth of a copy, over the time taken."""
    pairs = zip(timed["copy"].wall_ms, timed[side].wall_ms, strict=True)
    share = median(num_bytes / _COPY_BYTES * copy / taken for copy, taken in pairs)
    elements = torch.Size(_SHAPE).numel()
    return Result(
        name=name,
        figure=share,
        unit="",
        bar=bar,
        details={
            "bytes_per_element": num_bytes,
            "copy_gb_per_s": round(_COPY_BYTES * elements / timed["copy"].median_ms / 1e6, 2),
        },
    )


def _first_use(bar: float) -> Result:
    with tempfile.TemporaryDirectory() as empty:
        runs = [_first_step(empty) for _ in range(2)]
    return Result(
        name="first use: build of the kernels",
        figure=runs[0]["first_step_s"] - runs[1]["first_step_s"],
        unit="s",
        bar=bar,
        is_ceiling=True,
        details={"with_empty_cache": runs[0], "with_built_kernels": runs[1]},
    )


def _first_step(cache: str) -> dict[str, float]:
    here = Path(__file__).parent
    path = os.pathsep.join(filter(None, (str(here), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, str(here / "measuring" / "first_step.py")],
        env={**os.environ, "SPIKENAS_CACHE": cache, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
