"""Every published network: its counts against PyTorch's own, and what a trace of one costs."""

import json
import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from spikenas.measurement import trace_architecture
from spikenas.nn.network import build_network
from spikenas.systems import PUBLISHED, published, published_names
from spikenas.workload import Kind

# Sums of spikes and masks are no matrix products: PyTorch does not count them, we do.
PRODUCTS = (Kind.CONV, Kind.LINEAR, Kind.TOKEN_MIXING, Kind.SPIKE_PRODUCT)
EXTRAS = (Kind.SPIKE_SUM, Kind.MASK)
COLD_TRACE = """
import json, resource, time
from spikenas.measurement import trace_architecture
from spikenas.systems import published
architecture = published("qkformer-10-768-imagenet")
before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
operations = len(trace_architecture(architecture).operations)
seconds = time.process_time() - started
kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"operations": operations, "seconds": seconds, "mib": kib / 1024}))
"""


@pytest.mark.parametrize("name", published_names())
def test_macs_agree_with_the_flop_counter_operation_by_operation(name):
    architecture = published(name)
    image = (architecture.input.channels, architecture.input.height, architecture.input.width)
    steps = (architecture.num_steps,) if architecture.input.kind == "events" else ()

    workload = trace_architecture(architecture)

    with torch.device("meta"), torch.no_grad():
        network = build_network(architecture).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, *steps, *image))
    flops = {
        place.removeprefix("SpikingTransformer."): sum(by_function.values())
        for place, by_function in counter.get_flop_counts().items()
    }
    products = [o for o in workload.operations if o.kind in PRODUCTS]
    assert {o.name: 2 * o.macs * o.steps for o in products} == {
        o.name: flops[o.name] for o in products
    }
    assert sum(2 * o.macs * o.steps for o in products) == counter.get_total_flops()
    extras = [o for o in workload.operations if o.macs and o.kind not in PRODUCTS]
    assert {o.kind for o in extras} <= {*EXTRAS}
    assert not any(o.name in flops for o in extras)
    assert workload.macs == PUBLISHED[name].macs


def test_the_largest_network_is_traced_in_a_second_without_memory():
    ran = subprocess.run(
        [sys.executable, "-c", COLD_TRACE], capture_output=True, text=True, check=True
    )

    found = json.loads(ran.stdout)
    assert found["operations"] > 200
    assert found["seconds"] < 1.0
    assert found["mib"] < 100
