"""`read_layers`: read a network from a JSON list of layers into a `LayerGraph`.

The file is one object ``{name?, input | input_hwc, layers}``. With ``input`` [C, H, W], or [N],
convolutions, neurons and pools are separate layers, with ``id`` and ``in`` where a layer does not
simply follow the one before. With ``input_hwc`` [H, W, C] the layers are those of Akida, which
include their pool and activation. A ``name`` such as ``16-100-8`` alone is a chain of linear
layers, each followed by neurons. docs/explanation/chips.md lists the keys of a layer.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikenas import shipped
from spikenas.exceptions import SpecError, did_you_mean
from spikenas.hardware.akida_file import akida_layers
from spikenas.hardware.layer_fields import Fields
from spikenas.hardware.layers import (
    INPUT,
    Layer,
    LayerGraph,
    LayerKind,
    Shape,
    is_same,
    window_output,
)

_SPIKING = ("iaf", "if", "neuron")
_LEAKY = ("lif", "plif", "expleak")
_ACTIVATIONS = ("relu", "sigmoid", "tanh", "gelu", "softmax", "layernorm")
_IGNORED = ("dropout", "identity")
_KEYS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("conv", "conv_transpose"): ("out", "k", "s", "p", "bias", "groups", "dilation", "d"),
    ("linear",): ("out", "bias"),
    ("avgpool", "sumpool", "maxpool"): ("k", "s"),
    (*_SPIKING, *_LEAKY): ("out",),
    ("merge", "add", "flatten", "bn", *_ACTIVATIONS, *_IGNORED): (),
}
_KEYS_OF = {op: (*keys, "op", "id", "in") for ops, keys in _KEYS.items() for op in ops}
_KINDS = {  # of those that are a LayerKind; all others are LayerKind.OTHER
    **dict.fromkeys(("conv", "linear"), LayerKind.CONV),
    **dict.fromkeys((*_SPIKING, *_LEAKY, "relu"), LayerKind.NEURON),
    **dict.fromkeys(("avgpool", "sumpool"), LayerKind.SUM_POOL),
    "maxpool": LayerKind.MAX_POOL,
    **dict.fromkeys(("merge", "add"), LayerKind.MERGE),
    "flatten": LayerKind.FLATTEN,
    "bn": LayerKind.BATCH_NORM,
}
_WINDOWED = ("conv", "conv_transpose", "avgpool", "sumpool", "maxpool")
_TOP_KEYS = ("name", "input", "input_hwc", "layers")
_CHAIN = re.compile(r"\d+(-\d+)+")


def read_layers(path: Path) -> LayerGraph:
    """Read a file; raises SpecError naming the file, the layer and the problem."""
    text = shipped.read_file(path)
    try:
        record = shipped.parse_json(text)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    return parse_layers(record, source=str(path))


def parse_layers(record: object, *, source: str = "layers") -> LayerGraph:
    """Return the layers of a JSON object; ``source`` names it in errors."""
    if not isinstance(record, Mapping):
        raise SpecError(
            f"{source}: needed: one object {{name, input, layers}}; have {record!r:.60}"
        )
    _check_keys(record, source)
    if list(record) == ["name"] and _CHAIN.fullmatch(record["name"]):
        inputs, *sizes = map(int, record["name"].split("-"))
        chain = [layer for n in sizes for layer in ({"op": "linear", "out": n}, {"op": "lif"})]
        record = {"input": [inputs], "layers": chain}
    layers = record.get("layers")
    if not isinstance(layers, list) or not layers:
        have = f"= {layers!r:.60}" if "layers" in record else "is missing"
        raise SpecError(
            f"{source}: layers {have}; needed: a list of at least one layer; or give name alone, "
            "as '16-100-8'"
        )
    entries = [Fields.of(layer, source, i) for i, layer in enumerate(layers)]
    if "input_hwc" in record:
        height, width, channels = _sizes(record["input_hwc"], "input_hwc", "[H, W, C]", source)
        return akida_layers(entries, (channels, height, width))
    if "input" not in record:
        first = layers[0].get("in")
        if not isinstance(first, int):
            raise SpecError(f"{source}: input is missing; needed: [C, H, W], or input_hwc")
        record = {**record, "input": [first]}
    channels, height, width = _sizes(record["input"], "input", "[C, H, W]", source)
    reader = _Reader((channels, height, width), is_flat=(height, width) == (1, 1))
    for entry in entries:
        reader.add(entry)
    return LayerGraph(layers=tuple(reader.layers.values()), input_shape=(channels, height, width))


def _check_keys(record: Mapping[Any, Any], source: str) -> None:
    """Refuse unknown keys, and two that contradict each other."""
    for key in record:
        if key not in _TOP_KEYS:
            hint = did_you_mean(str(key), _TOP_KEYS)
            raise SpecError(f"{source}: {key} is no key{hint}; known: {', '.join(_TOP_KEYS)}")
    name = record.get("name", "")
    if not isinstance(name, str):
        raise SpecError(f"{source}: name = {name!r:.60}; needed: text in quotes")
    if "input" in record and "input_hwc" in record:
        raise SpecError(
            f"{source}: input and input_hwc are both given; keep input_hwc for layers of Akida, "
            "input for others"
        )


def _sizes(given: object, key: str, axes: str, source: str) -> tuple[int, int, int]:
    if isinstance(given, int) and not isinstance(given, bool):
        given = [given]
    if not isinstance(given, list) or len(given) not in (1, 3):
        raise SpecError(f"{source}: {key} = {given!r}; needed: {axes}")
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in given):
        raise SpecError(f"{source}: {key} = {given!r}; needed: whole numbers from 1, {axes}")
    return (given[0], 1, 1) if len(given) == 1 else (given[0], given[1], given[2])


class _Reader:
    """Collects the layers; batch norm is folded, dropout left out."""

    def __init__(self, shape: Shape, *, is_flat: bool) -> None:
        self.layers: dict[str, Layer] = {}
        self._stands_for = {INPUT: INPUT}
        self._shapes: dict[str, Shape] = {INPUT: shape}
        self._flat = {INPUT} if is_flat else set()
        self._last = INPUT

    def add(self, entry: Fields) -> None:
        """Read one layer."""
        op = entry.one_of("op", _KEYS_OF)
        entry.only(_KEYS_OF[op])
        name = str(entry.get("id", f"{entry.index}.{op}"))
        if name in self._stands_for:
            entry.refuse(f"id {name!r} is taken; give each layer its own id")
        sources = self._sources(entry, op)
        source = sources[0]
        self._last = name
        if op in _IGNORED or self._folds(op, source):
            self._stands_for[name] = source
            return
        shape = self._shapes[source]
        is_flat = source in self._flat
        fields: dict[str, Any] = {}
        if op in (*_SPIKING, *_LEAKY):
            entry.expect("out", entry.count("out", default=shape[0]), shape[0], "channels")
            fields["leak"] = float(op in _LEAKY)
        elif op in ("merge", "add"):
            self._check_merge(entry, sources)
        elif op in _WINDOWED:
            if is_flat and shape[1:] == (1, 1) and op != "conv":
                entry.refuse(f"{op} after flat values; remove the flatten before it")
            fields = _windowed(entry, op, shape)
        elif op == "linear":
            if not is_flat and shape[1:] != (1, 1):
                size = "x".join(map(str, shape))
                entry.refuse(f'linear on a map of {size}; put {{"op": "flatten"}} before it')
            out = entry.count("out")
            biases = out if entry.flag("bias") else 0
            fields = {"output_shape": (out, 1, 1), "kernel": shape[1:], "biases": biases}
        self.layers[name] = Layer(
            name=name,
            kind=_KINDS.get(op, LayerKind.OTHER),
            sources=tuple(dict.fromkeys(sources)),
            input_shape=shape,
            what="merge" if op == "add" else op,
            **{"output_shape": shape, **fields},
        )
        self._stands_for[name] = name
        self._shapes[name] = self.layers[name].output_shape
        if op in ("flatten", "linear") or (is_flat and op != "conv"):
            self._flat.add(name)

    def _folds(self, op: str, source: str) -> bool:
        """Fold batch norm into the weights directly before it."""
        weights = self.layers.get(source)
        if op != "bn" or weights is None or not weights.is_weighted:
            return False
        self.layers[source] = replace(weights, biases=weights.output_shape[0])
        return True

    def _sources(self, entry: Fields, op: str) -> list[str]:
        given = entry.get("in", [self._last])
        if isinstance(given, int) and not isinstance(given, bool):
            entry.expect("in", given, self._size(self._last), "inputs")
            given = [self._last]
        names = [given] if isinstance(given, str) else given
        if not isinstance(names, list) or not names:
            entry.refuse(f"in = {given!r}; needed: the id of an earlier layer, or a list of them")
        for name in names:
            if str(name) not in self._stands_for:
                known = ", ".join(self._stands_for)
                hint = did_you_mean(str(name), self._stands_for)
                entry.refuse(f"in names {name!r}, no earlier layer{hint}; known: {known}")
        if len(names) > 1 and op not in ("merge", "add"):
            entry.refuse(f"{op} has {len(names)} inputs; put a merge before it")
        return [self._stands_for[str(name)] for name in names]

    def _size(self, name: str) -> int:
        channels, height, width = self._shapes[self._stands_for[name]]
        return channels * height * width

    def _check_merge(self, entry: Fields, sources: list[str]) -> None:
        shapes = {self._shapes[source] for source in sources}
        if len(shapes) > 1:
            listed = " and ".join("x".join(map(str, shape)) for shape in sorted(shapes))
            entry.refuse(f"merge adds {listed}; needed: equal shapes")


def _windowed(entry: Fields, op: str, shape: Shape) -> dict[str, Any]:
    """Return the fields of a convolution or pool."""
    kernel = entry.pair("k")
    is_conv = op in ("conv", "conv_transpose")
    stride = entry.pair("s", default=(1, 1) if is_conv else kernel)
    padding = entry.pair("p", default=(0, 0), least=0) if is_conv else (0, 0)
    dilation = entry.pair("dilation", default=entry.pair("d", default=(1, 1)))
    out = entry.count("out") if is_conv else shape[0]
    groups = entry.count("groups", default=1)
    if is_conv and (shape[0] % groups or out % groups):
        entry.refuse(f"groups = {groups} does not divide {shape[0]} and {out} channels")
    window = (kernel, stride, padding, dilation)
    height, width = window_output(shape[1:], *window)
    if op == "conv_transpose":
        axes = zip(shape[1:], *window, strict=True)
        height, width = ((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in axes)
    if min(height, width) < 1:
        size = "x".join(map(str, shape))
        entry.refuse(
            f"a window of {kernel[0]}x{kernel[1]} on {size} leaves nothing; "
            "take a smaller k, a larger p or fewer strides before it"
        )
    return {
        "output_shape": (out, height, width),
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "biases": out if is_conv and entry.flag("bias") else 0,
        "same_padding": is_same(kernel, padding),
    }
