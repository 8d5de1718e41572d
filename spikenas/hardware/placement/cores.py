"""Chips of equal cores (Loihi, TrueNorth, SpiNNaker 2): how many cores the neurons need.

Groups of neurons do not share cores. Each core holds a square patch of p x p positions with as many
channels as fit; p is chosen so that the group needs the fewest cores:
    neurons   p p c <= neurons of a core
    axons     inputs that the patch reads, ((p - 1) s + k)^2 C for kernel k, stride s, C input
              channels; without C if an axon carries the channel with the event
    synapses  one shared kernel for its channels, times the bits of a weight
With a membrane shortcut the group reads all branches before it: their axons and synapses add up.
This counts resources; it is not a mapping, and ignores routing.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, inf, isqrt
from typing import NamedTuple

from spikenas.hardware.layers import Layer, LayerGraph, LayerKind
from spikenas.hardware.placement.placement import THE_NETWORK, Findings, Placement
from spikenas.hardware.profile import ChipProfile


def place_on_cores(graph: LayerGraph, chip: ChipProfile) -> tuple[Placement, Findings]:
    """Return how many cores each group of neurons takes, and what the chip does not allow."""
    findings = Findings(chip=chip)
    core = _Core.of(chip)
    records, total = [], 0
    for neuron in graph.layers:
        if neuron.kind is not LayerKind.NEURON:
            continue
        drives = tuple(_Drive.of(layer) for layer in graph.drives(neuron))
        if "axons_per_core" in chip.limits:
            axons = core.axons_of(drives, 1)
            findings.at_most("axons_per_core", neuron, axons, "axons of one neuron")
        if "synapse_bits_per_core" in chip.limits:
            bits = sum(drive.weights for drive in drives) * core.weight_bits
            findings.at_most("synapse_bits_per_core", neuron, bits, "bits of weights of one neuron")
        cores = _cores(drives, neuron.output_shape, core)
        findings.keep("neurons_per_core", min(neuron.neurons, core.neurons))
        total += cores
        records.append({"layer": neuron.name, "neurons": neuron.neurons, "cores": cores})
    findings.at_most("cores", THE_NETWORK, total, "cores")
    summary = f"{total} of {chip.limits['cores'].most:.15g} cores"
    return Placement(summary=summary, layers=tuple(records)), findings


class _Drive(NamedTuple):
    """Weights before neurons; ``dense`` is the number of positions that are all read, or 0."""

    channels: int
    kernel: int
    stride: int
    dense: int
    weights: int  # of one neuron

    @classmethod
    def of(cls, layer: Layer) -> "_Drive":
        channels, height, width = layer.input_shape
        if layer.kind is LayerKind.TOKEN_MIXING:
            return cls(1, 1, 1, height * width, height * width)
        channels //= layer.groups
        return cls(channels, max(layer.kernel), max(layer.stride), 0, layer.fan_in)


class _Core(NamedTuple):
    """What one core holds."""

    neurons: int
    axons: float
    synapse_bits: float
    weight_bits: float
    has_populations: bool  # an axon carries the channel with the event

    @classmethod
    def of(cls, chip: ChipProfile) -> "_Core":
        def most(name: str, otherwise: float) -> float:
            return chip.limit(name).most if name in chip.limits else otherwise

        return cls(
            neurons=int(most("neurons_per_core", 1)),
            axons=most("axons_per_core", inf),
            synapse_bits=most("synapse_bits_per_core", inf),
            weight_bits=most("weight_bits", 8.0),
            has_populations="population_axons" in chip.structure,
        )

    def axons_of(self, drives: Sequence[_Drive], patch: int) -> int:
        """Return how many inputs a patch of neurons reads."""
        total = 0
        for drive in drives:
            pixels = drive.dense or ((patch - 1) * drive.stride + drive.kernel) ** 2
            total += pixels if self.has_populations else pixels * drive.channels
        return total


@lru_cache(maxsize=4096)
def _cores(drives: tuple[_Drive, ...], shape: tuple[int, int, int], core: _Core) -> int:
    """Return the fewest cores that hold a group of neurons."""
    channels, height, width = shape
    bits = sum(drive.weights for drive in drives) * core.weight_bits
    by_bits = channels
    if bits > 0 and core.synapse_bits < inf:
        by_bits = max(int(core.synapse_bits // bits), 1)
    best = channels * height * width  # one neuron per core, if nothing fits
    for patch in range(1, min(isqrt(core.neurons), max(height, width)) + 1):
        if patch > 1 and core.axons_of(drives, patch) > core.axons:
            break
        held = min(core.neurons // patch**2, by_bits, channels)
        best = min(best, ceil(height / patch) * ceil(width / patch) * ceil(channels / held))
    return best
