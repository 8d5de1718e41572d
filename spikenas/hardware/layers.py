"""`LayerGraph`: a network as chips see it, between the Workload (or a file) and a placement.

Batch norm is folded into the weights before it, tokens on a grid are maps (C, H, W), a vector is
(C, 1, 1), and there is no time axis. `spikenas.hardware.batch_norm_folding` builds it from a
Workload, `spikenas.hardware.layer_file` from a list of layers; `spikenas.hardware.placement`
reads it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import prod

Shape = tuple[int, int, int]  # channels, height, width
Pair = tuple[int, int]  # vertical, horizontal
INPUT = "input"


class LayerKind(StrEnum):
    """What a layer does."""

    CONV = "conv"  # also a linear map of a whole map, whose kernel is the map
    TOKEN_MIXING = "token_mixing"
    NEURON = "neuron"
    SUM_POOL = "sum_pool"  # also an average pool: its divisor is folded into the next weights
    MAX_POOL = "max_pool"
    GLOBAL_POOL = "global_pool"  # the mean over a map, before the neuron
    MERGE = "merge"  # two streams go to the same place
    FLATTEN = "flatten"
    BATCH_NORM = "batch_norm"  # only if it does not directly follow weights
    OTHER = "other"  # nothing that a layer of a chip can do


WEIGHTS = (LayerKind.CONV, LayerKind.TOKEN_MIXING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One node of the graph.

    Attributes:
        sources: the names of the layers that feed it, or ``input``.
        what: what the author of the network calls it: ``linear``, ``maxpool``, ``lif``.
        biases: number of biases, one per output channel, also from a folded batch norm.
        leak: the fraction of a neuron's membrane that is lost per step.
        weight_bits: bits per weight, if the network specifies them.
        output_bits: bits of a neuron's output, if it can send more than single events.
        is_separable: a depthwise convolution followed by a 1x1 convolution.
        is_pixels: the convolution reads an image, not events.
        same_padding: with stride s the output size is the input size over s, rounded up.
    """

    name: str
    kind: LayerKind
    sources: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape
    what: str = ""
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    biases: int = 0
    leak: float = 0.0
    weight_bits: int | None = None
    output_bits: int | None = None
    is_separable: bool = False
    is_pixels: bool = False
    same_padding: bool = True

    @property
    def is_weighted(self) -> bool:
        """Whether it has trained weights."""
        return self.kind in WEIGHTS

    @property
    def neurons(self) -> int:
        """The size of its output, which is the number of neurons after it."""
        return prod(self.output_shape)

    @property
    def fan_in(self) -> int:
        """The number of inputs of one output."""
        if self.kind is LayerKind.TOKEN_MIXING:
            return self.input_shape[1] * self.input_shape[2]
        return self.input_shape[0] // self.groups * prod(self.kernel)

    def __str__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        return f"{self.what or self.kind} of {shape}"


@dataclass(frozen=True, kw_only=True)
class LayerGraph:
    """Layers in execution order; each names its sources.

    Attributes:
        is_image: the input is an image of numbers, not events, as a file states.
    """

    layers: tuple[Layer, ...]
    input_shape: Shape
    input_bits: int | None = None
    is_image: bool = False

    @cached_property
    def by_name(self) -> dict[str, Layer]:
        """The layers by name."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def consumers(self) -> dict[str, tuple[Layer, ...]]:
        """The layers that read the output of each layer, and of ``input``."""
        found: dict[str, dict[str, Layer]] = {INPUT: {}, **{name: {} for name in self.by_name}}
        for layer in self.layers:
            for source in layer.sources:
                found[source][layer.name] = layer
        return {name: tuple(readers.values()) for name, readers in found.items()}

    @property
    def weighted(self) -> list[Layer]:
        """The layers with weights."""
        return [layer for layer in self.layers if layer.is_weighted]

    def sources(self, layer: Layer) -> Iterator[Layer | None]:
        """Yield the sources of a layer, None for the input of the network."""
        return map(self.by_name.get, layer.sources)

    def origins(self, layer: Layer, through: tuple[LayerKind, ...]) -> Iterator[Layer | None]:
        """Yield the sources of a layer, looking through layers of the kinds ``through``."""
        for source in self.sources(layer):
            if source is not None and source.kind in through:
                yield from self.origins(source, through)
            else:
                yield source

    def targets(self, name: str, through: tuple[LayerKind, ...]) -> Iterator[Layer]:
        """Yield the consumers of a layer, looking through layers of the kinds ``through``."""
        for reader in self.consumers[name]:
            if reader.kind in through:
                yield from self.targets(reader.name, through)
            else:
                yield reader

    def drives(self, neuron: Layer) -> list[Layer]:
        """Return the weights whose currents reach a neuron, also through merges of currents."""
        found: dict[str, Layer] = {}
        waiting = [neuron]
        seen: set[str] = set()
        while waiting:
            for source in self.sources(waiting.pop()):
                if source is None or source.name in seen or source.kind is LayerKind.NEURON:
                    continue
                seen.add(source.name)
                if source.is_weighted:
                    found[source.name] = source
                else:
                    waiting.append(source)
        return [layer for layer in self.layers if layer.name in found]

    @property
    def ends(self) -> list[Layer]:
        """The layers whose output no layer reads."""
        return [layer for layer in self.layers if not self.consumers[layer.name]]


def is_same(kernel: Pair, padding: Pair) -> bool:
    """Whether a padding keeps the size of a map at stride 1."""
    return padding == (kernel[0] // 2, kernel[1] // 2)


def window_output(size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """Return the height and width of the output of a convolution or pool."""
    axes = zip(size, kernel, stride, padding, dilation, strict=True)
    height, width = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)
    return height, width
