"""``model.nir``: one step of the network in the exchange format of neuromorphic chips.

The metadata have what NIR has no field for: the time step, that membranes start at zero and reset
to zero, how frames are fed, and how to compute logits from the outputs of T steps. All nodes are
those that simulators agree on, see docs/explanation/export-formats.md.
"""

from pathlib import Path
from typing import Any

import nir
import torch
from torch import Tensor

from spikenas.exceptions import ArtefactError
from spikenas.export.formats import metadata_of
from spikenas.export.formats.nir_graph import IF_LEAK, STEP_SECONDS, build
from spikenas.export.formats.nir_replay import replay
from spikenas.export.samples import compare, samples
from spikenas.measurement import trace
from spikenas.nn.network import SpikingTransformer
from spikenas.workload import Kind, Workload


def write(
    network: SpikingTransformer,
    path: Path,
    *,
    pixels: bool = False,
    step_seconds: float | None = None,
) -> None:
    """Write the graph, read it back, run it and compare its logits.

    With ``step_seconds`` it is for simulators with that time step, and ``if`` becomes a LIF.
    """
    a = network.architecture
    workload = trace(network)
    shape = (a.input.channels, a.input.height, a.input.width)
    how = network.preprocessing if pixels else None
    graph, scale = build(workload, network.state_dict(), shape, how, step_seconds=step_seconds)
    graph.metadata = {
        **_metadata(network, workload, scale),
        **_steps(step_seconds),
        **metadata_of(network, pixels=pixels),
    }
    nir.write(path, graph)
    images, expected = samples(network, pixels=pixels)
    with torch.no_grad():
        compare(logits(nir.read(path), images), expected, path.name)


def logits(graph: nir.NIRGraph, images: Tensor) -> Tensor:
    """Return the logits of a graph that we wrote, for images [B, C, H, W] or [B, T, C, H, W]."""
    known: dict[str, Any] = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in graph.metadata.items()
    }
    if known.get("writer") != "spikenas":
        raise ArtefactError("the NIR graph does not say how its output becomes logits")
    x = (
        images.transpose(0, 1)
        if known["input"] == "events"
        else images.unsqueeze(0).expand(int(known["num_steps"]), *images.shape)
    )
    out = replay(graph, x, float(known["step_seconds"]))
    return out.mean(0) * float(known["logits_scale"])


def _metadata(network: SpikingTransformer, workload: Workload, scale: float) -> dict[str, Any]:
    a = network.architecture
    before = {operation.name: operation for operation in workload.operations}
    last = workload.operations[-1]
    source = before[last.inputs[0].source]
    if last.kind is Kind.MEAN and source.kind is Kind.NEURON:
        scale *= workload.num_steps  # a spiking head counts
    return {
        "writer": "spikenas",
        "architecture": a.key,
        "num_steps": a.num_steps,
        "input": a.input.kind,  # frames are repeated at every step, events are one frame per step
        "reset": "zero",
        "membrane": "zero before the first step",
        "logits": "logits_scale * mean of the output over the steps",
        "logits_scale": scale,
    }


def _steps(step_seconds: float | None) -> dict[str, Any]:
    """Return the time step, and how an ``if`` was written."""
    if step_seconds is None:
        return {
            "step_seconds": STEP_SECONDS,
            "if_gain": "r * input a step, whatever a step lasts",
        }
    return {"step_seconds": step_seconds, "if_leak": IF_LEAK}  # IF neurons are LIF nodes
