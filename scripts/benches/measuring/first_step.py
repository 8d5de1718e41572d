"""Time the first training step of a process, and a second one: python first_step.py."""

import json
import time

import torch
from torch.nn.functional import cross_entropy

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.nn.network import build_network


def main() -> None:
    """Print seconds as JSON."""
    stage = Stage(embed_dim=16, depth=1, mixer=("ssa",), num_heads=2, mlp_ratio=2.0)
    network = build_network(
        Architecture(
            input=InputSpec(channels=1, height=8, width=8),
            num_classes=10,
            num_steps=2,
            neuron="lif",
            residual="spike",
            stem="sps",
            patch_size=2,
            stages=(stage,),
        )
    )
    images, labels = torch.randn(4, 1, 8, 8), torch.arange(4)
    seconds = {}
    for name in ("first_step_s", "second_step_s"):
        start = time.perf_counter()
        cross_entropy(network(images), labels).backward()
        seconds[name] = round(time.perf_counter() - start, 3)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
