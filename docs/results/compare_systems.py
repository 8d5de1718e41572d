"""Train one small network per published system by one recipe, and print a table.

    python docs/results/compare_systems.py --data-root DIR [--seed 0] [--epochs 4]

Fashion-MNIST; every network has width 64, depth 2 (QKFormer and MSViT 3, their least) and T = 4.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch

from spikenas.architecture import Architecture, InputSpec
from spikenas.data import DataSpec, load
from spikenas.hardware import energy_model
from spikenas.measurement import measure
from spikenas.nn.network import build_network
from spikenas.systems import SYSTEMS, Setting
from spikenas.training import recipe, train

WIDTH, HEADS, STEPS = 64, 8, 4
SETTING = Setting(
    variant="cifar",
    dataset="cifar10",
    input=InputSpec(channels=1, height=28, width=28),
    num_classes=10,
    num_steps=STEPS,
)


def networks() -> dict[str, Architecture]:
    """Return the systems in the form that their CIFAR code has."""
    depths = {"qkformer": 3, "msvit": 3}
    return {
        name: family.published(SETTING, depths.get(name, 2), WIDTH, HEADS)
        for name, family in SYSTEMS.items()
    }


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--train-subset", type=int, default=4_000)
    parser.add_argument("--test-images", type=int, default=4_000)
    parser.add_argument("--systems", nargs="*", default=sorted(SYSTEMS))
    given = parser.parse_args()
    spec = DataSpec(
        name="fashion_mnist", root=str(given.data_root), train_subset=given.train_subset
    )
    splits = load(spec)
    test = replace(
        splits.test,
        images=splits.test.images[: given.test_images],
        labels=splits.test.labels[: given.test_images],
    )
    model = energy_model("cmos45")
    for name, architecture in networks().items():
        if name not in given.systems:
            continue
        began = time.perf_counter()
        torch.manual_seed(given.seed)
        network = build_network(architecture)
        train(network, splits.train, recipe("fashion_mnist"), epochs=given.epochs, seed=given.seed)
        trained = time.perf_counter() - began
        found = measure(network, test.batches(250))
        record = {
            "system": name,
            "seed": given.seed,
            "parameters": found.workload.parameters,
            "test_accuracy": round(found.accuracy, 4),
            "spike_rate": round(found.workload.spike_rate or 0.0, 4),
            "energy_uj": round(model.estimate(found.workload).total_uj, 3),
            "train_seconds": round(trained),
        }
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
