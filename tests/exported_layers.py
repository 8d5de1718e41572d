"""The layers of an export with their weights, as a chip would hold them.

What `spikenas.hardware.fold_batch_norm` says of the structure, with the weights that the
``model.nir`` of an export has: batch norm and the divisors of means are folded in there.
"""

from dataclasses import dataclass
from pathlib import Path

import nir
import torch
from torch import Tensor

import spikenas
from spikenas.export.formats.nir_graph import node_name
from spikenas.hardware import Layer, fold_batch_norm
from spikenas.measurement import trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A layer; of weights [out, in, height, width] and bias [out], of neurons the threshold."""

    layer: Layer
    weight: Tensor | None = None
    bias: Tensor | None = None
    threshold: float | None = None  # a neuron fires above it


def parts(export: Path) -> list[Part]:
    """Return the chain of layers of an export; a mean's linear map is as large as the map."""
    graph = nir.read(export / "model.nir")
    return [
        _part(layer, graph.nodes.get(node_name(layer.name)))
        for layer in fold_batch_norm(trace(spikenas.load(export))).layers
    ]


def _part(layer: Layer, node: nir.NIRNode | None) -> Part:
    if isinstance(node, nir.IF):
        return Part(layer=layer, threshold=float(node.v_threshold.flat[0]))
    if not isinstance(node, nir.Affine | nir.Conv2d):
        return Part(layer=layer)
    weight = torch.tensor(node.weight)
    if weight.dim() == 2:
        weight = weight[:, :, None, None].expand(-1, -1, *layer.kernel).contiguous()
    return Part(layer=layer, weight=weight, bias=torch.tensor(node.bias))
