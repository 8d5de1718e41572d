"""Trace and check new members of a space: scripts/bench check [--space NAME] [--chip NAME].

The first members warm the memory of parts up; the figures are of those behind them, in CPU time of
one thread, so that other work on the machine weighs less.
"""

import argparse
import json
import platform
import time
from statistics import median, quantiles

from spikenas.hardware import check, chip
from spikenas.measurement import trace_architecture
from spikenas.search_space import SearchSpace


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="unified_cifar10")
    parser.add_argument("--chip", default="async_generic")
    parser.add_argument("--members", type=int, default=500)
    parser.add_argument("--warm-up", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    space, profile = SearchSpace.load(given.space), chip(given.chip)
    tracing, checking, seen = [], [], set()
    seed = given.seed * 10**6
    while len(seen) < given.warm_up + given.members:
        architecture = space.sample(seed)
        seed += 1
        if architecture in seen:
            continue
        seen.add(architecture)
        start = time.process_time()
        workload = trace_architecture(architecture)
        traced = time.process_time()
        check(workload, profile)
        tracing.append(traced - start)
        checking.append(time.process_time() - traced)
    both = [a + b for a, b in zip(tracing, checking, strict=True)][given.warm_up :]
    milliseconds = {
        "trace_ms": median(tracing[given.warm_up :]),
        "check_ms": median(checking[given.warm_up :]),
        "both_ms": median(both),
        "both_p90_ms": quantiles(both, n=10)[-1],
    }
    figures = {name: round(1e3 * value, 2) for name, value in milliseconds.items()}
    print(json.dumps({"space": given.space, "machine": platform.machine(), **figures}))


if __name__ == "__main__":
    main()
