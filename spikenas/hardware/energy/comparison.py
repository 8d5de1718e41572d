"""`compare`: a spiking network beside networks of equal size that do not spike.

Both run every multiply-accumulate of the workload once. ``non_spiking`` has 32-bit activations,
or the model's words. ``quantised`` has activations of b = ceil(log2(T + 1)) bits, which tell as
much as the spikes of T steps (Yan 2024, arXiv 2409.08290), and the same weights and accumulators
as the spiking network; a product of b bits and a weight is priced as b additions, shift-and-add,
but never above a multiply-accumulate. That is our reading, an upper figure for the quantised
network (grade: inferred).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log2
from typing import Literal

from spikenas.hardware.energy.model import EnergyModel
from spikenas.workload import Workload

_BISECTIONS = 24  # to a ten-millionth


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One network of equal size that does not spike.

    Attributes:
        bits: of its activations; None for those of the model's words.
        macs: multiply-accumulates per inference.
        energy_uj: None where the model prices no such network.
        times: its energy over that of the spiking network, the upper end of a range.
        break_even_rate: the spike rate, the same everywhere, at which both cost as much: 0 where
            the spiking network is dearer at any rate, 1 where it is cheaper at any.
        priced: how, in words.
    """

    network: Literal["non_spiking", "quantised"]
    bits: int | None
    macs: int
    energy_uj: float | None
    times: float | None
    break_even_rate: float | None
    priced: str


def compare(
    model: EnergyModel, workload: Workload, settings: Mapping[str, str]
) -> tuple[Comparison, Comparison]:
    """Return the non-spiking and the quantised network; the workload must know its rates."""
    chosen = model.chosen(settings)
    bits = ceil(log2(workload.num_steps + 1))
    return (
        _comparison(model, workload, chosen, None),
        _comparison(model, workload, chosen, bits),
    )


def _comparison(
    model: EnergyModel, workload: Workload, settings: Mapping[str, str], bits: int | None
) -> Comparison:
    dense = model.dense_pj(workload, settings, bits=bits)
    spiking = model.estimate(workload, **settings).total_uj
    return Comparison(
        network="non_spiking" if bits is None else "quantised",
        bits=bits,
        macs=sum(operation.macs for operation in workload.operations),
        energy_uj=None if dense is None else dense * 1e-6,
        times=None if dense is None or not spiking else dense * 1e-6 / spiking,
        break_even_rate=None
        if dense is None
        else _break_even(model, workload, settings, dense * 1e-6),
        priced=_in_words(bits)
        if dense is not None
        else f"{model.name} has no price for a network without spikes: counts only",
    )


def _in_words(bits: int | None) -> str:
    if bits is None:
        return "every multiply-accumulate once, activations as wide as the weights"
    return (
        f"activations of {bits} bits = ceil(log2(T + 1)), as much information as T spikes "
        f"(Yan 2024, arXiv 2409.08290); a product is at most {bits} additions, shift-and-add "
        "(grade: inferred); pixels as in the non-spiking network"
    )


def _break_even(
    model: EnergyModel, workload: Workload, settings: Mapping[str, str], limit_uj: float
) -> float:
    """Return the rate at which the spiking network costs ``limit_uj``; energy grows with it."""
    low, high = 0.0, 1.0
    for rate in (low, high):
        energy_uj = model.estimate(workload.with_rate(rate), **settings).total_uj
        assert energy_uj is not None
        if (energy_uj >= limit_uj) == (rate == 0.0):
            return rate
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        energy_uj = model.estimate(workload.with_rate(middle), **settings).total_uj
        assert energy_uj is not None
        low, high = (low, middle) if energy_uj > limit_uj else (middle, high)
    return (low + high) / 2
