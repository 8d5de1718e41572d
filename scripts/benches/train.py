"""Time training steps of whole networks: scripts/bench train [--system NAME] [options].

A step is forward, cross entropy, backward and fused AdamW on 32 images of 32x32, T = 4, for ours
and for the same network with SpikingJelly's neurons (scripts/benches/peers), with equal weights.
Memory is the peak resident memory of three steps in a process of its own, above what the process
had before it built the network: weights, gradients, state of the optimizer and all that is kept
for backward. The kernel's own high-water mark is read, so scratch space of oneDNN and of our
kernels counts, which PyTorch's profiler does not see; tensors have pages of their own there
(MALLOC_MMAP_THRESHOLD_), so nothing freed is counted as used.
--profile adds where the time of a step goes, by kind of operation.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from measuring import Result, alternate, options, print_document, without_compiler
from measuring.equality import differences
from measuring.shares import GROUPS, shares
from measuring.steps import batch, training_step
from peers import SYSTEMS, pair

_WIDTHS = {"spikformer": (64, 128, 256), "qkformer": (128,), "stmixer": (128,)}
_BARS = {
    ("spikformer", 64): 3.6,
    ("spikformer", 128): 3.3,
    ("spikformer", 256): 2.5,
    ("qkformer", 128): 2.5,
    ("stmixer", 128): 2.5,
}
_BARS_WITHOUT_COMPILER = {("spikformer", 128): 1.8}
_MEMORY_BARS, _MEMORY_WIDTH = {"spikformer": 0.6}, 128
_SIDES = ("ours", "peer")


def main() -> None:
    """Measure and print one JSON document."""
    parser = options(__doc__)
    parser.add_argument("--system", choices=SYSTEMS, help="one system; all by default")
    parser.add_argument("--width", type=int, help="64, 128 and 256 of Spikformer by default")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--profile", action="store_true", help="share of time by operation")
    given = parser.parse_args()
    bars = _BARS_WITHOUT_COMPILER if without_compiler(given) else _BARS
    cases = [
        (system, width)
        for system in ([given.system] if given.system else SYSTEMS)
        for width in ([given.width] if given.width else _WIDTHS[system])
    ]
    print_document(
        "train",
        partial(_measure, cases, given, bars),
        threads=given.threads,
        settings={"batch_size": given.batch_size, "compiler": bars is _BARS, "data": given.data},
    )


def _measure(
    cases: Sequence[tuple[str, int]],
    given: argparse.Namespace,
    bars: dict[tuple[str, int], float],
) -> Iterator[Result]:
    for system, width in cases:
        architecture = SYSTEMS[system].architecture(width)
        both = pair(SYSTEMS[system], architecture)
        images, labels = batch(architecture, given.batch_size, given.data)
        equal = differences(both, images, labels)
        steps = {
            "ours": training_step(both.ours, images, labels),
            "peer": training_step(both.peer, images, labels),
        }
        timed = alternate(steps, rounds=given.rounds)
        where = _profiled(steps, f"{system} {width}") if given.profile else None
        yield Result.of_rounds(
            f"{system} {width}, training step",
            timed,
            bar=bars.get((system, width)),
            equality=equal,
            parameters=sum(p.numel() for p in both.ours.parameters()),
            profile_ms=where,
        )
        del both, steps
        if width == _MEMORY_WIDTH:
            yield _memory(
                system,
                width,
                given.batch_size,
                bar=_MEMORY_BARS.get(system) if bars is _BARS else None,
            )


def _profiled(steps: Mapping[str, Callable[[], object]], title: str) -> dict[str, dict[str, float]]:
    """Return the shares of both sides, and show them side by side."""
    found = {side: shares(step) for side, step in steps.items()}
    print(f"{title:30}" + "".join(f"{side:>20}" for side in found), file=sys.stderr)
    for group in GROUPS:
        line = [f"{ms[group]:9.1f} ms {ms[group] / sum(ms.values()):6.1%}" for ms in found.values()]
        print(f"  {group:28}" + "".join(f"{each:>20}" for each in line), file=sys.stderr)
    return {side: {g: round(v, 2) for g, v in ms.items()} for side, ms in found.items()}


def _memory(system: str, width: int, batch_size: int, bar: float | None) -> Result:
    peaks = {side: _peak_mib(system, width, batch_size, side) for side in _SIDES}
    return Result(
        name=f"{system} {width}, peak memory of a training step",
        figure=peaks["ours"] / peaks["peer"],
        unit="",
        bar=bar,
        is_ceiling=True,
        details={"peak_mib": {side: round(peak, 1) for side, peak in peaks.items()}},
    )


def _peak_mib(system: str, width: int, batch_size: int, side: str) -> float:
    here = Path(__file__).parent
    path = os.pathsep.join(filter(None, (str(here), os.environ.get("PYTHONPATH"))))
    threads = str(torch.get_num_threads())
    command = [str(here / "measuring" / "memory.py"), system, str(width), str(batch_size), side]
    done = subprocess.run(
        [sys.executable, *command, threads],
        env={**os.environ, "PYTHONPATH": path, "MALLOC_MMAP_THRESHOLD_": "65536"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout)["peak_mib"])


if __name__ == "__main__":
    main()
