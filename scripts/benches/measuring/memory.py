"""Print the peak memory of one side: python memory.py SYSTEM WIDTH BATCH SIDE THREADS.

Resident memory at its highest in three steps, above that before the network was built and behind
a step of a tiny one, which loads the libraries' code. Linux only.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn

from measuring.steps import batch, training_step
from peers import SYSTEMS, pair

_RESET_HIGH_WATER = "5"  # to /proc/self/clear_refs, see proc(5)


def main(system: str, width: str, batch_size: str, side: str, threads: str) -> None:
    """Print MiB as JSON."""
    torch.set_num_threads(int(threads))
    _steps(_network(system, 16, side), system, 16, 2, count=1)
    Path("/proc/self/clear_refs").write_text(_RESET_HIGH_WATER)
    before = _kib("VmRSS")
    _steps(_network(system, int(width), side), system, int(width), int(batch_size), count=3)
    print(json.dumps({"peak_mib": (_kib("VmHWM") - before) / 1024}))


def _network(system: str, width: int, side: str) -> nn.Module:
    both = pair(SYSTEMS[system], SYSTEMS[system].architecture(width))
    return both.ours if side == "ours" else both.peer


def _steps(network: nn.Module, system: str, width: int, batch_size: int, *, count: int) -> None:
    images, labels = batch(SYSTEMS[system].architecture(width), batch_size, None)
    step = training_step(network, images, labels)
    for _ in range(count):
        step()


def _kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
