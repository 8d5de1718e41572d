"""What a bench ran on: processor, load, versions."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

_ROOT = Path(__file__).parents[3]


def machine() -> dict[str, object]:
    """Return processor, cores, threads and the load just now."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
    }


def load_average() -> list[float]:
    """Return the load of the last 1, 5 and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]


def versions() -> dict[str, str]:
    """Return those of what is compared, with the commit."""
    return {
        "spikenas": _git("describe", "--always", "--dirty", "--abbrev=12"),
        "spikingjelly": _version("spikingjelly"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "compiler": _first_line(os.environ.get("CC") or "gcc", "--version"),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.processor())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _git(*arguments: str) -> str:
    return _first_line("git", "-C", str(_ROOT), *arguments)


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return next(iter(done.stdout.splitlines()), "")
