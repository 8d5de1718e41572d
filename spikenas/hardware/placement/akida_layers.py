"""The layers of Akida 1: weights with the pool and the activation after them, in a chain."""

from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import zip_longest

from spikenas.hardware.layers import Layer, LayerGraph, LayerKind
from spikenas.hardware.placement.placement import Findings

_POOLS = (LayerKind.MAX_POOL, LayerKind.GLOBAL_POOL)
_SPIKE_BITS = 1


class Form(StrEnum):
    """The type of a layer on the chip."""

    INPUT = "input_convolutional"  # on pixels, in a unit of its own
    CONV = "convolutional"
    SEPARABLE = "separable_convolutional"
    DENSE = "fully_connected"


@dataclass(frozen=True, slots=True, kw_only=True)
class AkidaLayer:
    """One layer of the chip.

    Attributes:
        follower: the form of the next layer, None for the last.
    """

    form: Form
    weights: Layer
    input_bits: int
    pool: Layer | None = None
    neuron: Layer | None = None
    follower: Form | None = None


def akida_layers(graph: LayerGraph, findings: Findings) -> list[AkidaLayer]:
    """Return the chain of layers; report everything that does not fit into such a chain."""
    found: list[AkidaLayer] = []
    bits = graph.input_bits or _SPIKE_BITS
    for layer in graph.layers:
        if len(graph.consumers[layer.name]) > 1 or len(layer.sources) > 1:
            findings.broken("layer_order", layer, f"{layer} where streams part or meet")
        last = found[-1] if found else None
        if layer.kind is LayerKind.CONV:
            if last and last.neuron is None:
                findings.broken("layer_order", layer, f"{layer} that no activation feeds")
            if last and last.neuron:
                bits = last.neuron.output_bits or _SPIKE_BITS
            found.append(AkidaLayer(form=_form(layer), weights=layer, input_bits=bits))
        elif layer.kind is LayerKind.NEURON and last and last.neuron is None:
            if layer.leak:
                findings.broken("unsupported_neuron", layer, "neurons that leak")
            found[-1] = replace(last, neuron=layer)
        elif layer.kind in _POOLS and last and last.pool is None and last.neuron is None:
            found[-1] = replace(last, pool=layer)
        elif layer.kind is not LayerKind.FLATTEN:
            findings.broken("unsupported_operation", layer, f"{layer} at this place")
    forms = (layer.form for layer in found[1:])
    return [replace(layer, follower=form) for layer, form in zip_longest(found, forms)]


def _form(layer: Layer) -> Form:
    is_dense = layer.what in ("linear", "fc") and layer.output_shape[1:] == (1, 1)
    if is_dense and layer.kernel == layer.input_shape[1:]:
        return Form.DENSE
    if layer.is_pixels:
        return Form.INPUT
    return Form.SEPARABLE if layer.is_separable else Form.CONV
