"""Train one STMixer with and without surrogate module learning; print accuracy and spike rate.

    python docs/results/surrogate_module_learning.py --data-root DIR [--weight 0.9] [--epochs 3]

Fashion-MNIST, width 64, two blocks, T = 1. One line for each seed.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.data import DataSpec, load
from spikenas.measurement import measure
from spikenas.nn.network import build_network
from spikenas.training import recipe, train

STMIXER = Architecture(
    input=InputSpec(channels=1, height=28, width=28),
    num_classes=10,
    num_steps=1,
    neuron="stmixer_lif",
    residual="membrane",
    stem="conv_side",
    patch_size=4,
    stages=(Stage(embed_dim=64, depth=2, mixer=("stm",), num_heads=4, mlp_ratio=2.0),),
)


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--weight", type=float, default=0.9, help="of the soft loss; 0 is off")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--train-subset", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    given = parser.parse_args()
    splits = load(
        DataSpec(name="fashion_mnist", root=str(given.data_root), train_subset=given.train_subset)
    )
    settings = recipe("fashion_mnist", surrogate_module_learning=given.weight)
    for seed in given.seeds:
        torch.manual_seed(seed)
        network = build_network(STMIXER)
        began = time.perf_counter()
        train(network, splits.train, settings, epochs=given.epochs, seed=seed)
        seconds = time.perf_counter() - began
        found = measure(network, splits.validation.batches(256))
        record = {
            "weight": given.weight,
            "epochs": given.epochs,
            "seed": seed,
            "validation_accuracy": round(found.accuracy, 4),
            "spike_rate": round(found.workload.spike_rate or 0.0, 4),
            "train_seconds": round(seconds),
        }
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
