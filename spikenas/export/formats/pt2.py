"""``model.pt2``: the network as a program of PyTorch's plain operations (`torch.export`).

The batch is free; T is unrolled and the image size fixed. Loading a ``.pt2`` runs pickled code:
it is loaded here, where it was written, and spikenas never reads one from elsewhere. Metadata are
extra files of it: ``torch.export.load(path, extra_files={"preprocessing": ""})`` fills them in.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from spikenas.export.formats import metadata_of
from spikenas.export.samples import compare, graph_of, samples
from spikenas.nn.network import SpikingTransformer


def write(network: SpikingTransformer, path: Path, *, pixels: bool = False) -> None:
    """Write the program, read it back and compare its logits."""
    images, expected = samples(network, pixels=pixels)
    program = _program(graph_of(network, pixels=pixels), images[:2])
    torch.export.save(program, path, extra_files=metadata_of(network, pixels=pixels))
    with torch.no_grad():
        compare(torch.export.load(path).module()(images), expected, path.name)


def _program(network: nn.Module, images: Tensor) -> ExportedProgram:
    with torch.no_grad():
        program = torch.export.export(
            network, (images,), dynamic_shapes=({0: Dim("batch")},), strict=False
        )
    for node in program.graph.nodes:  # where our files lie is nobody's business
        for tale in ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node"):
            node.meta.pop(tale, None)
    return program
