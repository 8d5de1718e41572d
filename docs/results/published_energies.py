"""Recompute the energies that papers print, as far as that can be done, and print the tables.

    python docs/results/published_energies.py

No training and no data: an energy of a paper needs the spike rates of its trained weights, which
are not here. So the second table says which spike rate, the same everywhere, would give it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spikenas.architecture import Architecture
from spikenas.hardware import compare, energy_model
from spikenas.measurement import trace_architecture
from spikenas.systems import PUBLISHED, published
from spikenas.workload import Workload

CMOS45, MEMORY_AWARE = energy_model("cmos45"), energy_model("memory_aware")
# Spikformer's table takes a first convolution of 64 channels for every width.
SPIKFORMER_FIRST_LAYER = 9 * 3 * 64 * 224 * 224
SPIKFORMER_STEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """An energy that is printed somewhere, and how that source counts the first layer."""

    name: str
    energy_mj: float
    first_layer: str = "once"
    num_steps: int | None = None
    side: int | None = None
    where: str = ""

    @property
    def architecture(self) -> Architecture:
        """The network, at that number of steps and that image."""
        a = published(self.name)
        if self.num_steps is not None:
            a = replace(a, num_steps=self.num_steps)
        if self.side is not None:
            a = replace(a, input=replace(a.input, height=self.side, width=self.side))
        return a


def printed() -> Iterator[Printed]:
    """Return every energy of the tables of published figures."""
    first_layer = {"spikformer": "per_step", "sdt": "per_step"}
    for system in PUBLISHED.values():
        if system.energy_mj is not None:
            side = 288 if system.name == "sdt-8-768-imagenet" else None
            where = "SMixer's paper" if system.name.startswith("stmixer") else "the paper"
            yield Printed(
                name=system.name,
                energy_mj=system.energy_mj,
                first_layer=first_layer.get(system.name.split("-")[0], "once"),
                side=side,
                where=f"{where}, 288x288" if side else where,
            )
    for name, energy_mj in (("8-384", 12.43), ("8-512", 18.82), ("8-768", 32.07)):
        yield Printed(
            name=f"spikformer-{name}-imagenet", energy_mj=energy_mj, where="Spikingformer's README"
        )
    yield Printed(
        name="sdt-8-512-imagenet",
        energy_mj=1.13,
        first_layer="per_step",
        num_steps=1,
        where="QKFormer's paper, T = 1",
    )
    yield Printed(
        name="qkformer-10-768-imagenet", energy_mj=8.52, num_steps=1, where="the paper, T = 1"
    )
    for side, energy_mj in ((288, 64.27), (384, 113.64)):
        yield Printed(
            name="qkformer-10-768-imagenet",
            energy_mj=energy_mj,
            side=side,
            where=f"the paper, {side}x{side}",
        )


def reproduced() -> Iterator[str]:
    """Return the rows of energies that follow from the operations printed beside them."""
    yield "| network | OPs, G | printed, mJ | cmos45, mJ | difference, mJ |"
    yield "|---|---|---|---|---|"
    for system in PUBLISHED.values():
        if system.operations is None or system.energy_mj is None:
            continue
        energy_mj = 1e-3 * CMOS45.price_uj(
            synops=system.operations, macs=SPIKFORMER_STEPS * SPIKFORMER_FIRST_LAYER
        )
        yield (
            f"| {system.name} | {system.operations / 1e9:.2f} | {system.energy_mj:.3f} "
            f"| {energy_mj:.4f} | {energy_mj - system.energy_mj:+.4f} |"
        )


def needed() -> Iterator[str]:
    """Return the rows of what spike rate would give each printed energy."""
    yield "| network | printed by | mJ | T | rate, counts as additions | as multiplications |"
    yield "|---|---|---|---|---|---|"
    for each in printed():
        architecture = each.architecture
        workload = trace_architecture(architecture)
        rates = [
            needed_rate(workload, each.energy_mj, first_layer=each.first_layer, nonbinary=nonbinary)
            for nonbinary in ("ac", "mac")
        ]
        cells = [f"{100 * rate:.1f} %" if rate <= 1 else "above 100 %" for rate in rates]
        yield (
            f"| {each.name} | {each.where} | {each.energy_mj:g} | {architecture.num_steps} "
            f"| {' | '.join(cells)} |"
        )


def needed_rate(workload: Workload, energy_mj: float, *, first_layer: str, nonbinary: str) -> float:
    """Return the rate at which cmos45 gives an energy; that grows evenly with the rate."""
    silent, full = (
        CMOS45.estimate(
            workload.with_rate(rate), first_layer=first_layer, count_nonbinary_as=nonbinary
        ).total_uj
        for rate in (0.0, 1.0)
    )
    return (1e3 * energy_mj - silent) / (full - silent)


def break_even() -> Iterator[str]:
    """Return the rows of the spike rates below which spikes are cheaper than 3-bit activations."""
    settings = ({}, {"word_bits": "8"}, {"sram": "per_access"})
    yield (
        "| network | cmos45 | memory_aware | with 8-bit words | with equal accesses "
        "| non-spiking, memory_aware |"
    )
    yield "|---|---|---|---|---|---|"
    for name in (
        "spikformer-4-384-cifar10",
        "sdt-2-512-cifar10",
        "qkformer-4-384-cifar10",
        "msvit-4-384-cifar10",
        "stmixer-4-384-cifar10",
    ):
        workload = trace_architecture(published(name)).with_rate(0.1)
        rates = [compare(CMOS45, workload, {})[1].break_even_rate]
        rates += [compare(MEMORY_AWARE, workload, chosen)[1].break_even_rate for chosen in settings]
        rates.append(compare(MEMORY_AWARE, workload, {})[0].break_even_rate)
        yield f"| {name} | {' | '.join(f'{100 * (rate or 0):.1f} %' for rate in rates)} |"


def main() -> None:
    """Print the three tables."""
    for table in (reproduced(), needed(), break_even()):
        print(*table, "", sep="\n")


if __name__ == "__main__":
    main()
