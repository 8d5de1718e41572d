"""Train a network with halting and its host, sweep the threshold, and print accuracy and energy.

    python docs/results/halting_curve.py --data-root DIR --host spikformer|sdt [--seed 0]

Fashion-MNIST, stem i_sps, width 64, four blocks, T = 4. Both are trained by one recipe; the
network with halting is trained once, at the threshold given, and then evaluated at others.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch

from spikenas.architecture import Architecture, Halting, InputSpec, Stage
from spikenas.data import DataSpec, Splits, load
from spikenas.hardware import energy_model
from spikenas.measurement import measure
from spikenas.nn.network import SpikingTransformer, build_network
from spikenas.training import recipe, train

THRESHOLDS = (1e9, 4.0, 2.0, 1.5, 1.0, 0.7, 0.5, 0.3, 0.2)
HOSTS = {
    "spikformer": ("spike", "ssa", "mean_linear"),
    "sdt": ("membrane", "spike_driven", "neuron_linear"),
}


def host(name: str) -> Architecture:
    """Return the network without halting."""
    residual, mixer, head = HOSTS[name]
    return Architecture(
        input=InputSpec(channels=1, height=28, width=28),
        num_classes=10,
        num_steps=4,
        neuron="lif",
        residual=residual,
        stem="i_sps",
        patch_size=4,
        stages=(Stage(embed_dim=64, depth=4, mixer=(mixer,), num_heads=8, mlp_ratio=4.0),),
        head=head,
    )


def trained(
    architecture: Architecture, splits: Splits, *, epochs: int, seed: int
) -> SpikingTransformer:
    """Return the network after training."""
    torch.manual_seed(seed)
    network = build_network(architecture)
    train(network, splits.train, recipe("fashion_mnist"), epochs=epochs, seed=seed)
    return network


def main() -> None:
    """Train, sweep and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--host", choices=HOSTS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--train-subset", type=int, default=10_000)
    parser.add_argument("--test-images", type=int, default=4_000)
    parser.add_argument("--threshold", type=float, default=1.0)
    parser.add_argument("--ponder-cost", type=float, default=0.1)
    given = parser.parse_args()
    spec = DataSpec(
        name="fashion_mnist", root=str(given.data_root), train_subset=given.train_subset
    )
    splits, plain = load(spec), host(given.host)
    test = replace(
        splits.test,
        images=splits.test.images[: given.test_images],
        labels=splits.test.labels[: given.test_images],
    )
    halting = Halting(threshold=given.threshold, ponder_cost=given.ponder_cost)

    def report(what: str, network: SpikingTransformer, threshold: float | None) -> None:
        began = time.perf_counter()
        found = measure(network, test.batches(250))
        energy_uj = energy_model("cmos45").estimate(found.workload).total_uj
        record = {
            "host": given.host,
            "network": what,
            "threshold": threshold,
            "test_accuracy": round(found.accuracy, 4),
            "energy_uj": round(energy_uj, 4),
            "synops": round(found.workload.synops or 0.0),
            "measure_seconds": round(time.perf_counter() - began, 1),
        }
        print(json.dumps(record), flush=True)

    report("host", trained(plain, splits, epochs=given.epochs, seed=given.seed), None)
    halted = trained(replace(plain, halting=halting), splits, epochs=given.epochs, seed=given.seed)
    weights = halted.state_dict()
    for threshold in THRESHOLDS:
        network = build_network(replace(plain, halting=replace(halting, threshold=threshold)))
        network.load_state_dict(weights)
        report("act", network, threshold)


if __name__ == "__main__":
    main()
