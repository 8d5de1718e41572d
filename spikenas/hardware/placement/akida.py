"""Akida 1: each layer on as many neural processors as its weights and its map need.

A layer is weights, optionally a pool, optionally the activation; layers form a chain. A layer is
split into tiles of the map and shares of its filters (`akida_memory`). The vendor's default mapping
spreads filters over as many processors as possible, by a search over the maximum number of filters
per processor, which is repeated here. Processors are taken in the order of the mapper: first those
that only run convolutions, last those that also run fully connected layers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from spikenas.hardware.layers import Layer, LayerGraph, LayerKind
from spikenas.hardware.placement.akida_layers import AkidaLayer, Form, akida_layers
from spikenas.hardware.placement.akida_memory import (
    conv_bytes,
    dense_bytes,
    input_bytes,
    separable_bytes,
    shares,
    tiles,
)
from spikenas.hardware.placement.placement import THE_NETWORK, Findings, Placement
from spikenas.hardware.profile import ChipProfile

_MOST_TILES = 512  # the search for the number of tiles stops here
# There are three kinds of processors: without a fully connected unit, with one that has a small
# internal memory, with one that has a large external memory. Each form takes the first that can.
_FIRST = {(form, is_large): 0 for form in Form for is_large in (False, True)} | {
    (Form.DENSE, False): 1,
    (Form.DENSE, True): 2,
}


def place_on_akida(graph: LayerGraph, chip: ChipProfile) -> tuple[Placement, Findings]:
    """Return how many processors each layer gets, and what the chip does not allow."""
    findings = Findings(chip=chip)
    layers = akida_layers(graph, findings)
    for layer in layers:
        _check(layer, findings)
    demands = [_demand(layer, findings) for layer in layers]
    possible = [demand for demand in demands if demand]
    needed = sum(demand.fewest for demand in possible if demand.form is not Form.INPUT)
    findings.at_most("processors", THE_NETWORK, needed, "processors")
    given = None if findings.breaches or None in demands else _search(possible, chip)
    if given is None and not findings.breaches:
        _check_kinds(layers, possible, findings)
    records = [
        {
            "layer": layer.weights.name,
            "form": layer.form.value,
            "processors": given[place] if given else None,
        }
        for place, layer in enumerate(layers)
    ]
    most = chip.limits["processors"].most
    used = "-" if given is None else f"{sum(given)}"
    return Placement(
        summary=f"{used} of {most:.15g} neural processors", layers=tuple(records)
    ), findings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Demand:
    """What one layer needs: tiles of a map, or one processor with room for its weights."""

    form: Form
    tiles: int = 1
    filters: int = 0
    channels: int = 0
    kernel: int = 1
    bits: int = 4
    memory: float = 0.0
    most_filters: int = 1
    is_large: bool = False

    @property
    def fewest(self) -> int:
        """The smallest number of processors that hold it."""
        if self.form in (Form.INPUT, Form.DENSE):
            return 1
        return self.tiles * self._shares(self.filters)

    def processors(self, most_filters: int) -> int | None:
        """Return how many it needs with at most ``most_filters`` each, None if impossible."""
        if self.form in (Form.INPUT, Form.DENSE):
            return 1
        count = self._shares(most_filters)
        return None if self._is_odd(shares(self.filters, count)) else self.tiles * count

    def _shares(self, most_filters: int) -> int:
        """Return over how many processors the filters are distributed."""
        return _fewest_shares(self, min(most_filters, self.most_filters))

    def fits(self, filters: int) -> bool:
        """Whether one processor holds this many filters."""
        needed = self.weight_bytes(filters)
        return needed is not None and needed <= self.memory

    def weight_bytes(self, filters: int) -> int | None:
        """Return the weight memory of this many filters, None if a processor has too few lines."""
        size = separable_bytes if self.form is Form.SEPARABLE else conv_bytes
        return size(self.channels, filters, self.kernel, self.bits)

    def _is_odd(self, parts: Iterable[int]) -> bool:
        """With one channel and over 16 filters, each processor's groups of 8 must be even."""
        if self.form is Form.SEPARABLE or self.channels != 1 or self.filters <= 16:
            return False
        return any(-(-part // 8) % 2 for part in parts)


@lru_cache(maxsize=4096)
def _fewest_shares(demand: _Demand, most_filters: int) -> int:
    """Return the smallest number of processors that hold the filters of one tile."""
    count = -(-demand.filters // most_filters)
    while not all(demand.fits(share) for share in shares(demand.filters, count)):
        count += 1
    return count


def _demand(layer: AkidaLayer, findings: Findings) -> _Demand | None:
    """Return what a layer needs, None if no processor can run it."""
    limits, weights = findings.chip.limits, layer.weights
    bits = weights.weight_bits or int(limits["weight_bits"].most)
    kernel = weights.kernel[0]
    if layer.form is Form.INPUT:
        return _Demand(form=layer.form)
    if layer.form is Form.DENSE:
        inputs = prod(weights.input_shape)
        size = dense_bytes(inputs, weights.output_shape[0], bits if bits in (1, 2, 4) else 4)
        is_large = size > limits["dense_weight_memory"].most
        return _Demand(form=layer.form, is_large=is_large)
    is_separable = layer.form is Form.SEPARABLE
    known = limits["separable_kernels" if is_separable else "kernels"].values
    known_bits = limits["separable_weight_bits" if is_separable else "weight_bits"].values
    is_known = kernel in known and bits in known_bits and layer.input_bits in range(1, 5)
    channels = max(weights.input_shape[0], weights.output_shape[0])
    if not is_known or channels > limits["channels"].most:
        return None
    demand = _Demand(
        form=layer.form,
        tiles=_tiles(layer, findings),
        filters=weights.output_shape[0],
        channels=weights.input_shape[0],
        kernel=kernel,
        bits=bits,
        memory=limits["weight_memory"].most,
        most_filters=int(limits["filters_per_processor"].most),
    )
    if (smallest := demand.weight_bytes(1)) is not None:
        findings.at_most("weight_memory", layer.weights, smallest, "bytes of weights of 8 filters")
    return demand if demand.tiles and demand.fits(1) else None


def _tiles(layer: AkidaLayer, findings: Findings) -> int:
    """Return into how many tiles the input is cut, 0 if too many; report what must not be cut."""
    limits, weights = findings.chip.limits, layer.weights
    memory = limits["input_memory"].most
    is_average = layer.pool is not None and layer.pool.kind is LayerKind.GLOBAL_POOL
    pool = layer.pool if layer.pool and not is_average else None
    kernel, step = weights.kernel[0], pool.stride[0] if pool else 1
    count = tiles(
        weights.input_shape,
        kernel=kernel,
        step=step,
        bits=layer.input_bits,
        memory=float("inf") if is_average else memory,
        most=(limits["tile_height"].most, limits["tile_width"].most),
        limit=_MOST_TILES,
    )
    if is_average and count:
        width = -(-weights.input_shape[2] // count)
        size = input_bytes(weights.input_shape[1], width, weights.input_shape[0], layer.input_bits)
        findings.at_most("input_memory", weights, size, "bytes of input, not to be cut")
    if count is None or count > limits["processors"].most:
        channels, *sides = weights.input_shape
        height, width = (min(step + 2 * (kernel // 2), side) for side in sides)
        smallest = input_bytes(height, width, channels, layer.input_bits)
        if count is None and smallest > memory:
            findings.at_most("input_memory", weights, smallest, "bytes of its smallest tile")
        else:
            have = "processors" + " or more" * (count is None) + " for its input alone"
            findings.at_most("processors", weights, count or _MOST_TILES + 1, have)
        return 0
    is_strided = weights.stride != (1, 1) and layer.form is Form.CONV
    if pool and count > 1 and (pool.kernel != pool.stride or is_strided):
        findings.broken("pooling_tiles", weights, f"{pool.what} on a map cut into {count}")
    return count


def _search(demands: list[_Demand], chip: ChipProfile) -> list[int] | None:
    """Return the processors of each layer, found by the vendor's search over filters."""
    best = _allocated(demands, chip, most := int(chip.limit("filters_per_processor").most))
    if best is None and all(demand.channels != 1 for demand in demands):
        return None  # fewer filters per processor only need more processors
    low, high = 0, most
    while low + 2 <= high:
        middle = (low + high) // 2
        now = _allocated(demands, chip, middle)
        if best is None or (now is not None and _used(demands, now) >= _used(demands, best)):
            best, high = now, middle
        else:
            low = middle
    return best


def _used(demands: list[_Demand], given: list[int]) -> int:
    return sum(
        count for demand, count in zip(demands, given, strict=True) if demand.form is not Form.INPUT
    )


def _allocated(
    demands: Sequence[_Demand], chip: ChipProfile, most_filters: int
) -> list[int] | None:
    """Return the processors of each layer, None if there are too few."""
    names = ("processors", "small_dense_processors", "large_dense_processors")
    total, small, large = (int(chip.limit(name).most) for name in names)
    free = [total - small - large, small, large]
    given = []
    for demand in demands:
        count = demand.processors(most_filters)
        if count is None:
            return None
        if demand.form is not Form.INPUT:
            left = count
            for kind in range(_FIRST[demand.form, demand.is_large], len(free)):
                taken = min(left, free[kind])
                free[kind] -= taken
                left -= taken
            if left:
                return None
        given.append(count)
    return given


def _check_kinds(layers: list[AkidaLayer], demands: Sequence[_Demand], findings: Findings) -> None:
    """Report why layers that fit one by one do not fit together."""
    limits = findings.chip.limits
    most = int(limits["filters_per_processor"].most)
    for layer, demand in zip(layers, demands, strict=True):
        if demand.processors(most) is None:
            what = f"{demand.filters} filters on one channel"
            findings.broken("one_input_channel", layer.weights, what)
    dense = [demand for demand in demands if demand.form is Form.DENSE]
    large = sum(demand.is_large for demand in dense)
    have = "processors with room for its fully connected layers"
    findings.at_most("large_dense_processors", THE_NETWORK, large, have)
    small = max(len(dense) - limits["large_dense_processors"].most, 0)
    findings.at_most("small_dense_processors", THE_NETWORK, small, have)
    # Other layers take these last, so if each kind and the total suffice, all layers fit.
    assert findings.breaches, "processors ran out, and none of their limits was exceeded"


def _check(layer: AkidaLayer, findings: Findings) -> None:
    """Report the limits that the layer itself violates."""
    weights, limits = layer.weights, findings.chip.limits
    if layer.neuron is not None and layer.neuron.output_bits is not None:
        findings.one_of(
            "activation_bits", layer.neuron, layer.neuron.output_bits, "activation bits"
        )
    if layer.form is Form.INPUT:
        _check_input(layer, findings)
        return
    if layer.input_bits not in limits["activation_bits"].values:
        findings.one_of("activation_bits", weights, layer.input_bits, "input bits")
    separable = layer.form is Form.SEPARABLE
    if weights.weight_bits is not None:
        name = "separable_weight_bits" if separable else "weight_bits"
        findings.one_of(name, weights, weights.weight_bits, "weight bits")
    if layer.form is Form.DENSE:
        findings.at_most("dense_inputs", weights, prod(weights.input_shape), "inputs")
        if layer.pool is not None:
            findings.broken("layer_order", layer.pool, "a pool after a fully connected layer")
        return
    channels = max(weights.input_shape[0], weights.output_shape[0])
    findings.at_most("channels", weights, channels, "channels")
    _check_window(weights, findings, kernels="separable_kernels" if separable else "kernels")
    if weights.kernel[0] != 3 and weights.stride != (1, 1):
        what = f"stride {weights.stride[0]} with a kernel of {weights.kernel[0]}"
        findings.broken("strided_kernel", weights, what)
    if not weights.same_padding:
        findings.broken("same_padding", weights, f"padding {weights.padding}")
    if layer.pool is not None and layer.pool.kind is LayerKind.GLOBAL_POOL:
        findings.at_most("average_height", weights, weights.input_shape[1], "rows under an average")
        findings.at_least("average_columns", weights, weights.output_shape[2], "columns to average")
    elif layer.pool is not None:
        _check_pool(layer.pool, findings)
        if layer.follower not in (Form.CONV, Form.SEPARABLE):
            findings.broken("pooling_last", layer.pool, "a max pool that no convolution follows")


def _check_window(
    layer: Layer, findings: Findings, *, kernels: str, strides: str = "strides"
) -> None:
    findings.one_of(kernels, layer, layer.kernel[0], "kernel size")
    for stride in set(layer.stride):
        findings.one_of(strides, layer, stride, "stride")
    is_even = layer.stride[0] == layer.stride[1] or strides == "input_strides"
    if layer.kernel[0] != layer.kernel[1] or not is_even:
        findings.broken("square", layer, f"a kernel of {layer.kernel} at stride {layer.stride}")
    if layer.groups != 1 or layer.dilation != (1, 1):
        findings.broken("unsupported_operation", layer, "a grouped or dilated convolution")


def _check_pool(pool: Layer, findings: Findings) -> None:
    for size in set(pool.kernel):
        findings.one_of("pooling", pool, size, "pooling size")
    if min(pool.input_shape[1:]) < max(pool.kernel) or pool.stride[0] > pool.kernel[0]:
        what = f"a pool of {pool.kernel[0]} at stride {pool.stride[0]} on {pool}"
        findings.broken("pooling_tiles", pool, what)


def _check_input(layer: AkidaLayer, findings: Findings) -> None:
    """Report what the unit that reads pixels does not support."""
    weights = layer.weights
    channels, height, width = weights.input_shape
    _check_window(weights, findings, kernels="input_kernels", strides="input_strides")
    findings.at_least("input_side", weights, min(height, width), "rows and columns of the image")
    findings.at_most("input_width", weights, width, "width of the image")
    if height < weights.kernel[0]:
        findings.broken("square", weights, f"a kernel of {weights.kernel[0]} on {height} rows")
    if channels not in (1, 3):
        findings.broken("unsupported_operation", weights, f"an image of {channels} channels")
    elif weights.kernel[0] in findings.chip.limits["input_kernels"].values:
        name = "grey_filters" if channels == 1 else "colour_filters"
        place = findings.chip.limits["input_kernels"].values.index(weights.kernel[0])
        findings.at_most(
            name,
            weights,
            weights.output_shape[0],
            f"filters of a kernel of {weights.kernel[0]}",
            limit=findings.chip.limit(name).values[place],
        )
    if layer.pool is not None:
        _check_pool(layer.pool, findings)
        if layer.pool.kind is LayerKind.GLOBAL_POOL or layer.pool.kernel != layer.pool.stride:
            findings.broken("pooling_tiles", layer.pool, str(layer.pool))
