"""``model.onnx``: the network as a graph of ONNX operators, run by ONNX Runtime and compared.

``images`` [batch, C, H, W] or [batch, T, C, H, W] -> ``logits`` [batch, classes]. The batch is
free; T is unrolled and the image size fixed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor

from spikenas.architecture import Architecture
from spikenas.exceptions import ArtefactError, InfeasibleError
from spikenas.export.formats import metadata_of
from spikenas.export.samples import compare, graph_of, samples
from spikenas.nn.network import SpikingTransformer


def write(network: SpikingTransformer, path: Path, *, pixels: bool = False) -> None:
    """Write the graph, run it and compare its logits."""
    a = network.architecture
    images, expected = samples(network, pixels=pixels)
    with torch.no_grad():
        program = torch.onnx.export(
            graph_of(network, pixels=pixels),
            (images[:2],),
            dynamo=True,
            verbose=False,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: "batch"},),
        )
    assert program is not None
    model = program.model
    for part in _parts(model):  # remove the paths of source files
        part.metadata_props.clear()
    model.metadata_props.update(
        {
            "architecture": a.key,
            "input": a.input.kind,
            "num_steps": str(a.num_steps),
            **metadata_of(network, pixels=pixels),
        }
    )
    program.save(path, external_data=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    judge(a, torch.from_numpy(logits), expected)


def judge(a: Architecture, found: Tensor, expected: Tensor) -> None:
    """Compare logits [B, classes]; with halting, explain why another runtime may differ."""
    try:
        compare(found, expected, "model.onnx")
    except ArtefactError as error:
        if a.halting is None:
            raise
        raise InfeasibleError(
            f"{error}; sums of halting scores may lie on threshold = {a.halting.threshold:g} "
            "itself, where the sigmoid of another runtime decides differently: export to pt2"
        ) from None


def _parts(model: Any) -> Iterator[Any]:
    """Yield all parts of a model that have metadata."""
    yield model
    yield model.graph
    for node in model.graph:
        yield node
        yield from node.outputs
    yield from model.graph.inputs
    yield from model.graph.initializers.values()
