"""The command energy: estimates one inference, and compares with non-spiking networks."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikenas.cli import documents
from spikenas.cli.options import ArchArgument, JsonOption, PluginsOption, StoreOption
from spikenas.cli.output import print_document, print_table, say
from spikenas.cli.references import Reference, resolve
from spikenas.exceptions import UsageError

if TYPE_CHECKING:
    from spikenas.workload import Workload


def _knob(metavar: str, meaning: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(
        metavar=metavar, help=meaning, show_default="the first"
    )
    return found


def energy(
    *,
    arch: ArchArgument,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE.toml",
            help="The energy model: cmos45, memory_aware, or a chip such as loihi1.",
        ),
    ] = "cmos45",
    spike_rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Assume this rate, 0 to 1, if none was measured."),
    ] = None,
    first_layer: Annotated[
        str | None,
        _knob("once|per_step", "cmos45: how often the operations on the image run."),
    ] = None,
    count_nonbinary_as: Annotated[
        str | None, _knob("mac|ac", "cmos45: the cost of a count or a current times a weight.")
    ] = None,
    execution: Annotated[
        str | None, _knob("time_step|event_driven", "memory_aware: when membranes are accessed.")
    ] = None,
    sram: Annotated[
        str | None, _knob("by_size|per_access", "memory_aware: the cost of a memory access.")
    ] = None,
    word_bits: Annotated[
        str | None, _knob("32|8", "memory_aware: the width of weights and membranes.")
    ] = None,
    reading: Annotated[
        str | None, _knob("NAME", "Which figures of a chip, if published ones disagree.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw a breakdown of the energy.")
    ] = None,
    store: StoreOption = None,
    allow_plugins: PluginsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Estimate the energy of one inference.

    Also shows non-spiking networks of equal size, if the model can estimate them.

    Trained candidates and exports have measured spike rates; all others need --spike-rate.
    """
    from spikenas import hardware

    chosen = hardware.energy_model(model, allow_plugins=allow_plugins)
    knobs = {
        "first_layer": first_layer,
        "count_nonbinary_as": count_nonbinary_as,
        "execution": execution,
        "sram": sram,
        "word_bits": word_bits,
        "reading": reading,
    }
    settings = {knob: setting for knob, setting in knobs.items() if setting is not None}
    reference = resolve(arch, store, allow_plugins=allow_plugins)
    workload = _with_rates(arch, reference, spike_rate)
    estimate = chosen.estimate(workload, **settings)
    comparisons = hardware.compare(chosen, workload, settings)
    if plot is not None:
        from spikenas.report import plots

        path = plots.plot_energy(estimate, comparisons, plot, name=arch)
        say(f"plot: {path}")
    if as_json:
        print_document(
            documents.Energy(
                id=reference.architecture.id,
                key=reference.architecture.key,
                model=estimate.model,
                title=chosen.title,
                unit=chosen.unit,
                settings=dict(estimate.settings),
                rates=estimate.rates,
                spike_rate=workload.spike_rate,
                energy_uj=estimate.total_uj,
                energy_low_uj=estimate.low_uj,
                static_uj=estimate.static_uj,
                score=estimate.score,
                synops=workload.synops,
                counts=dict(estimate.counts),
                terms_uj=estimate.terms_uj,
                variants_uj=chosen.variants(workload),
                comparison=[asdict(each) for each in comparisons],
                operations=estimate.to_dict()["operations"],
                assumptions=list(estimate.assumptions),
            )
        )
        return
    from spikenas.report import tables
    from spikenas.report.figures import energy_text, text

    print_table(
        tables.energy(estimate),
        f"{reference.architecture.id}: {energy_text(estimate)} by {estimate.model} "
        f"({chosen.title}), spike rates {estimate.rates}, "
        f"{text('spike_rate', workload.spike_rate)} on average",
    )
    print_table(tables.comparison(estimate, comparisons), "networks of equal size:")
    for assumption in (*estimate.assumptions, *(each.priced for each in comparisons[1:])):
        print(f"assumed: {assumption}")


def _with_rates(arch: str, reference: Reference, spike_rate: float | None) -> "Workload":
    """Return the workload with measured rates, or else with the assumed rate."""
    if reference.measured is not None:
        if spike_rate is not None:
            say(f"warning: --spike-rate {spike_rate:g} is not used: {arch} has measured rates")
        return reference.measured
    if spike_rate is None:
        raise UsageError(
            f"{arch} was never trained, so its spike rates are unknown; "
            "assume one, for example --spike-rate 0.15"
        )
    return reference.workload().with_rate(spike_rate)
