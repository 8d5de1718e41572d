"""The options that benches share."""

import argparse
import os
import subprocess
import sys
import tempfile

_NO_COMPILER = "/there/is/no/compiler"


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with ``--rounds``, ``--threads`` and ``--no-compiler``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="at least 7 for a verdict")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch and of our kernels")
    parser.add_argument("--data", help="a folder with CIFAR-10, in place of noise")
    parser.add_argument(
        "--no-compiler", action="store_true", help="as where no C compiler is installed"
    )
    return parser


def without_compiler(given: argparse.Namespace) -> bool:
    """Whether this process is one without a compiler; if one is asked for, run it and exit.

    The environment must say so before anything of spikenas is imported, so it is a new process.
    """
    if os.environ.get("CC") == _NO_COMPILER:
        return True
    if given.no_compiler:
        with tempfile.TemporaryDirectory() as empty:
            environment = {**os.environ, "CC": _NO_COMPILER, "SPIKENAS_CACHE": empty}
            done = subprocess.run(sys.orig_argv, env=environment, check=False)
        raise SystemExit(done.returncode)
    return False
