"""``model.pt2``: the network as a program of PyTorch's plain operations (`torch.export`).

The batch is free; T is unrolled and the image size fixed. Loading a ``.pt2`` runs pickled code, so
spikenas only loads files that it has just written. The metadata are extra files:
``torch.export.load(path, extra_files={"preprocessing": ""})`` fills them in.
"""

from pathlib import Path

import torch
from torch.export import Dim

from spikenas.export.formats import metadata_of
from spikenas.export.samples import compare, graph_of, samples
from spikenas.nn.network import SpikingTransformer


def write(network: SpikingTransformer, path: Path, *, pixels: bool = False) -> None:
    """Write the program, read it back and compare its logits."""
    images, expected = samples(network, pixels=pixels)
    with torch.no_grad():
        program = torch.export.export(
            graph_of(network, pixels=pixels),
            (images[:2],),
            dynamic_shapes=({0: Dim("batch")},),
            strict=False,
        )
        for node in program.graph.nodes:  # remove the paths of source files
            for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node"):
                node.meta.pop(key, None)
        torch.export.save(program, path, extra_files=metadata_of(network, pixels=pixels))
        compare(torch.export.load(path).module()(images), expected, path.name)
