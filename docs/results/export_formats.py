"""The rows of 2026-11-24-export-formats.md: small versions of the published systems, written.

Weights are random, thresholds low and batch norms have the statistics of random images, so that
neurons fire in every layer: a network that gives all images the same logits would tell nothing.
"""

import re
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import nir
import onnxruntime
import torch
from torch import Tensor

from spikenas import Architecture, build_network, published
from spikenas.architecture import Halting, InputSpec, Stage
from spikenas.exceptions import InfeasibleError
from spikenas.export.formats import render
from spikenas.export.formats.nir import logits
from spikenas.export.samples import TOLERANCE, sample_images
from spikenas.nn.network import SpikingTransformer

NUM_SAMPLES = 20
THRESHOLD = 0.25


def networks() -> dict[str, Architecture]:
    """Return what is written, by the name of its row."""
    found = {
        name: published(name, num_heads=4)
        for name in (
            "spikformer-2-64-cifar10",
            "sdt-2-64-cifar10",
            "qkformer-4-64-cifar10",
            "msvit-4-64-cifar10",
            "stmixer-2-64-cifar10",
        )
    }
    found = {name: replace(a, v_threshold=THRESHOLD) for name, a in found.items()}
    spikformer = found["spikformer-2-64-cifar10"]
    stages = (
        Stage(embed_dim=32, depth=1, mixer=("conv",), mlp_ratio=2.0),
        Stage(embed_dim=64, depth=1, mixer=("conv",), mlp_ratio=2.0, downsampling="sum_pool"),
    )
    chip = replace(spikformer, neuron="if", stem="conv", residual="none", stages=stages)
    return {
        **found,
        "the first, halting at 0.9": replace(spikformer, halting=Halting(threshold=0.9)),
        "the first, halting at 1": replace(spikformer, halting=Halting(threshold=1.0)),
        "the first, on events": replace(
            spikformer, input=InputSpec(channels=2, height=32, width=32, kind="events")
        ),
        "for clockless chips": replace(chip, head="spiking"),
        "its sums of spikes, LIF": replace(chip, neuron="lif", tau=2.0, residual="spike"),
        "its sums of membranes": replace(chip, neuron="stmixer_lif", residual="membrane"),
    }


def alive(architecture: Architecture) -> SpikingTransformer:
    """Return a network with random weights, whose batch norms have seen images."""
    torch.manual_seed(0)
    network = build_network(architecture).train()
    with torch.no_grad():
        for parameter in network.head.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        for _ in range(20):
            network(torch.randn(sample_images(architecture, 8).shape))
    return network.eval()


def outcome(name: str, network: SpikingTransformer, images: Tensor) -> str:
    """Return the largest difference of logits, and how many samples differ by a spike."""
    began = time.perf_counter()
    try:
        ((file, content),) = render([name], network).items()
    except InfeasibleError as error:
        count = re.findall(r"\d+ of \d+ (?:operations|samples)", str(error))
        return f"exit 7: {count[0]}"
    seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        path.write_bytes(content)
        with torch.no_grad():
            differences = (_run(path, images) - network(images)).abs().amax(1)
    close = differences[differences <= TOLERANCE]
    others = f", {len(images) - len(close)} by a spike" if len(close) < len(images) else ""
    return f"{float(close.max()):.1g}{others} ({seconds:.0f} s, {len(content) / 2**10:.0f} KiB)"


def _run(path: Path, images: Tensor) -> Tensor:
    if path.suffix == ".nir":
        return logits(nir.read(path), images)
    if path.suffix == ".pt2":
        return torch.export.load(path).module()(images)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def main() -> None:
    """Print the rows."""
    warnings.simplefilter("ignore")
    for row, architecture in networks().items():
        network = alive(architecture)
        images = sample_images(architecture, NUM_SAMPLES)
        with torch.no_grad():
            spread = float(network(images).std(0).mean())
        cells = [outcome(name, network, images) for name in ("pt2", "onnx", "nir")]
        print("|", " | ".join([row, f"{spread:.2g}", *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
