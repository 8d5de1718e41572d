"""The layers of Akida 1 in a file, where a layer includes its pool and activation.

Here each becomes weights, pool and neuron. Bits default to the chip's maximum, 4. The input is an
image if the first layer is `inputconv`, or `inputdata` with more than one bit.
"""

from collections.abc import Sequence

from spikenas.hardware.layer_fields import Fields
from spikenas.hardware.layers import INPUT, Layer, LayerGraph, LayerKind, Shape, window_output

_BITS = 4
_WEIGHTS = ("out", "wbits", "abits", "act")
_WINDOW = ("k", "s", "pool", "pool_s", "ptype", "pad")
_KEYS = {
    "inputdata": ("bits",),
    "inputconv": (*_WEIGHTS, *_WINDOW),
    "conv": (*_WEIGHTS, *_WINDOW),
    "sepconv": (*_WEIGHTS, *_WINDOW),
    "fc": _WEIGHTS,
}


def akida_layers(entries: Sequence[Fields], shape: Shape) -> LayerGraph:
    """Return the chain of a list of Akida layers; ``shape`` (C, H, W) is that of the input."""
    layers: list[Layer] = []
    bits, at, is_image = _BITS, shape, False
    for entry in entries:
        op = entry.one_of("op", _KEYS)
        entry.only((*_KEYS[op], "op", "id"))
        if op in ("inputdata", "inputconv") and entry.index:
            entry.refuse(f"{op} must be the first layer; take conv")
        if op == "inputdata":
            bits = entry.count("bits", default=_BITS)
            is_image = bits > 1
            continue
        is_image = is_image or op == "inputconv"
        before = layers[-1].name if layers else INPUT
        name = str(entry.get("id", f"{entry.index}.{op}"))
        weights = _weights(entry, name, op, before, at)
        layers.append(weights)
        if op != "fc":
            layers += _pools(entry, weights)
        at = layers[-1].output_shape
        if entry.flag("act", default=True):
            layers.append(_neuron(entry, layers[-1], name))
    return LayerGraph(layers=tuple(layers), input_shape=shape, input_bits=bits, is_image=is_image)


def _weights(entry: Fields, name: str, op: str, source: str, shape: Shape) -> Layer:
    out = entry.count("out")
    if op == "fc":
        kernel, stride, padding, after = shape[1:], (1, 1), (0, 0), (out, 1, 1)
        is_same = True
    else:
        kernel, stride = entry.pair("k"), entry.pair("s", default=(1, 1))
        is_same = entry.get("pad", "same") == "same"
        if not is_same:
            entry.one_of("pad", ("same", "valid"))
        padding = (kernel[0] // 2, kernel[1] // 2) if is_same else (0, 0)
        height, width = (-(-n // s) for n, s in zip(shape[1:], stride, strict=True))
        if not is_same:
            height, width = window_output(shape[1:], kernel, stride, padding, (1, 1))
        if min(height, width) < 1:
            entry.refuse(f"a kernel of {kernel[0]} on {shape[1]}x{shape[2]} leaves nothing")
        after = (out, height, width)
    return Layer(
        name=name,
        kind=LayerKind.CONV,
        sources=(source,),
        input_shape=shape,
        output_shape=after,
        what=op,
        kernel=kernel,
        stride=stride,
        padding=padding,
        weight_bits=entry.count("wbits", default=_BITS),
        is_separable=op == "sepconv",
        is_pixels=op == "inputconv",
        same_padding=is_same,
    )


def _pools(entry: Fields, weights: Layer) -> list[Layer]:
    """Return the pool inside a layer, if there is one."""
    channels, height, width = weights.output_shape
    given = [key for key in ("pool", "pool_s", "ptype") if entry.get(key, None) is not None]
    if not given:
        return []
    if "ptype" in given and entry.one_of("ptype", ("max", "avg")) == "avg":
        if given != ["ptype"]:
            entry.refuse(f"{given[0]} is not read with ptype = 'avg', over the whole map; drop it")
        kind, kernel, stride, after = LayerKind.GLOBAL_POOL, (height, width), (1, 1), (1, 1)
    elif "pool" not in given:
        entry.refuse(f"{given[0]} without pool, the size of a max pool; give pool, or drop it")
    else:
        kind, kernel = LayerKind.MAX_POOL, entry.pair("pool")
        stride = entry.pair("pool_s", default=kernel)
        after = (-(-height // stride[0]), -(-width // stride[1]))
    return [
        Layer(
            name=f"{weights.name}.pool",
            kind=kind,
            sources=(weights.name,),
            input_shape=weights.output_shape,
            output_shape=(channels, *after),
            what="average" if kind is LayerKind.GLOBAL_POOL else "maxpool",
            kernel=kernel,
            stride=stride,
        )
    ]


def _neuron(entry: Fields, before: Layer, name: str) -> Layer:
    return Layer(
        name=f"{name}.activation",
        kind=LayerKind.NEURON,
        sources=(before.name,),
        input_shape=before.output_shape,
        output_shape=before.output_shape,
        what="neuron",
        output_bits=entry.count("abits", default=_BITS),
    )
