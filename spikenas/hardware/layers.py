"""`LayerGraph`: a network as chips see it, between the Workload (or a file) and a placement.

Batch norm is folded into the weights before it, tokens on a grid are maps (C, H, W), a vector is
(C, 1, 1), and time is gone. `spikenas.hardware.batch_norm_folding` makes one of a Workload,
`spikenas.hardware.layer_file` of a list of layers; `spikenas.hardware.placement` reads it.
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

    CONV = "conv"  # a linear map over a whole map too, its kernel is the map
    TOKEN_MIXING = "token_mixing"
    NEURON = "neuron"
    SUM_POOL = "sum_pool"  # an average pool too, its divisor folds into the next weights
    MAX_POOL = "max_pool"
    GLOBAL_POOL = "global_pool"  # the mean over a map, before the neuron
    MERGE = "merge"  # two streams go to the same place
    FLATTEN = "flatten"
    BATCH_NORM = "batch_norm"  # only where it does not stand directly behind weights
    OTHER = "other"  # nothing that a layer of a chip could do


WEIGHTS = (LayerKind.CONV, LayerKind.TOKEN_MIXING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One node of the graph.

    Attributes:
        sources: the names of the layers that feed it, or ``input``.
        what: its name in the words of whoever wrote the network: ``linear``, ``maxpool``, ``lif``.
        biases: constants that it adds, one an output channel; a folded batch norm leaves them.
        leak: of a neuron, the part of its membrane that is lost a step.
        weight_bits: of weights, where the network says it.
        output_bits: of a neuron, where it can send more than one event at a time.
        is_separable: the convolution is one per channel, then one of 1x1.
        is_pixels: the convolution reads an image, not events.
        same_padding: the output of a stride s is the input over s, rounded up.
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
        """How many numbers leave it, the neurons behind it."""
        return prod(self.output_shape)

    @property
    def fan_in(self) -> int:
        """How many inputs one output reads."""
        if self.kind is LayerKind.TOKEN_MIXING:
            return self.input_shape[1] * self.input_shape[2]
        return self.input_shape[0] // self.groups * prod(self.kernel)

    def __str__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        return f"{self.what or self.kind} of {shape}"


@dataclass(frozen=True, kw_only=True)
class LayerGraph:
    """Layers in the order in which they run; each names those that feed it.

    Attributes:
        is_image: a file says that numbers enter it, not events.
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
        """Who reads the output of each layer, and of ``input``."""
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
        """Yield what feeds a layer, None for the network's input."""
        for source in layer.sources:
            yield self.by_name.get(source)

    def origins(self, layer: Layer, through: tuple[LayerKind, ...]) -> Iterator[Layer | None]:
        """Yield what feeds a layer once layers of the kinds ``through`` are looked through."""
        for source in self.sources(layer):
            if source is not None and source.kind in through:
                yield from self.origins(source, through)
            else:
                yield source

    def targets(self, name: str, through: tuple[LayerKind, ...]) -> Iterator[Layer]:
        """Yield what a layer feeds once layers of the kinds ``through`` are looked through."""
        for reader in self.consumers[name]:
            if reader.kind in through:
                yield from self.targets(reader.name, through)
            else:
                yield reader

    def drives(self, neuron: Layer) -> list[Layer]:
        """Return the weights whose currents reach a neuron, over merges of currents too."""
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
        """The layers whose output nobody reads."""
        return [layer for layer in self.layers if not self.consumers[layer.name]]
