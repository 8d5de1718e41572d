"""`compare`: a spiking network next to non-spiking networks of equal size.

Both run every multiply-accumulate of the workload once. ``non_spiking`` has 32-bit activations,
or the model's word size. ``quantised`` has activations of b = ceil(log2(T + 1)) bits, which carry
as much information as the spikes of T steps (Yan 2024, arXiv 2409.08290), and the same weights and
accumulators as the spiking network. A product of b bits and a weight is priced as b additions
(shift-and-add), but never above a multiply-accumulate. That is our assumption, an upper bound for
the quantised network (grade: inferred).
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
    """One non-spiking network of equal size.

    Attributes:
        bits: width of its activations; None for the model's word size.
        macs: multiply-accumulates per inference.
        energy_uj: None if the model has no price for such networks.
        times: its energy divided by that of the spiking network, using the upper end of a range.
        break_even_rate: the uniform spike rate at which both cost the same: 0 if the spiking
            network costs more at any rate, 1 if it costs less at any rate.
        priced: how it is priced, in words.
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
    dense_pj = model.dense_pj(workload, settings, bits=bits)
    spiking = model.estimate(workload, **settings).total_uj
    dense_uj = times = break_even_rate = None
    priced = f"{model.name} has no price for a network without spikes: counts only"
    if dense_pj is not None:
        dense_uj = dense_pj * 1e-6
        times = dense_uj / spiking if spiking else None
        break_even_rate = _break_even(model, workload, settings, dense_uj)
        priced = _in_words(bits)
    return Comparison(
        network="non_spiking" if bits is None else "quantised",
        bits=bits,
        macs=sum(operation.macs for operation in workload.operations),
        energy_uj=dense_uj,
        times=times,
        break_even_rate=break_even_rate,
        priced=priced,
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

    def energy_uj(rate: float) -> float:
        total = model.estimate(workload.with_rate(rate), **settings).total_uj
        assert total is not None
        return total

    low, high = 0.0, 1.0
    if energy_uj(low) >= limit_uj:
        return low
    if energy_uj(high) < limit_uj:
        return high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if energy_uj(middle) > limit_uj else (middle, high)
    return (low + high) / 2
