"""Tables for terminals, one function per kind. They are returned without heading, not printed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from spikenas.report.figures import columns, count, energy_range, genes, text

if TYPE_CHECKING:
    from spikenas.hardware import ChipProfile, Comparison, EnergyEstimate, Verdict
    from spikenas.store import Candidate
    from spikenas.systems import PublishedSystem
    from spikenas.workload import Operand, Workload

_FEW_TERMS, _MOST_TERMS = 2, 7  # two terms are the columns of synops and MACs in joules


def front(
    members: Sequence["Candidate"], *, objectives: Sequence[str] = (), total: int | None = None
) -> Table:
    """Return members of a Pareto front, one per row; ``total`` is the size of the front."""
    figures = columns(objectives)
    table = _table()
    if total is not None and len(members) < total:
        table.caption = f"{len(members)} of {total} members"
    table.add_column("id", no_wrap=True)
    _add_numbers(table, *(figure.heading or figure.name for figure in figures))
    table.add_column("architecture", overflow="fold")
    for member in members:
        table.add_row(
            member.id,
            *(text(figure.name, getattr(member, figure.name)) for figure in figures),
            genes(member.genes),
        )
    return table


def counts(by_state: Mapping[str, int]) -> Table:
    """Return the number of candidates per state, without empty states."""
    table = _table()
    table.add_column("state")
    table.add_column("candidates", justify="right")
    for state, number in by_state.items():
        if number:
            table.add_row(state, str(number))
    return table


def operations(workload: "Workload") -> Table:
    """Return every operation of a network: its inputs, its cost and its state.

    A measured workload also has spike rates and synaptic operations.
    """
    table = _table()
    _add_texts(table, "operation", "kind", "fed by", "input", "output")
    _add_numbers(table, "MACs", "steps", "weights", "biases", "neurons", "state")
    if workload.is_measured:
        _add_numbers(table, "input rate", "synops", "events")
    for operation in workload.operations:
        first = operation.inputs[0] if operation.inputs else None
        cells = [
            escape(operation.name),
            operation.kind.value,
            escape("\n".join(operand.source for operand in operation.inputs)),
            "\n".join(map(_operand, operation.inputs)),
            f"{_shape(operation.output_shape)} {operation.signal.value}",
            count(operation.macs),
            str(operation.steps),
            *map(count, (operation.weights, operation.biases, operation.neurons, operation.state)),
        ]
        if workload.is_measured:
            cells += [
                text("spike_rate", first.spike_rate if first else None),
                text("synops", operation.synops),
                text("synops", operation.events),
            ]
        table.add_row(*cells)
    return table


def energy(estimate: "EnergyEstimate") -> Table:
    """Return the operations that cost anything, with their shares and the terms of the model."""
    terms = list(estimate.terms_uj)[:_MOST_TERMS]
    if len(terms) <= _FEW_TERMS:
        terms = []
    table = _table()
    table.add_column("operation", overflow="fold")
    table.add_column("kind")
    unit = "score" if estimate.total_uj is None else "energy"
    _add_numbers(table, unit, "share", "synops", "MACs", *terms)
    for row in estimate.operations:
        if row.share:
            table.add_row(
                escape(row.name),
                str(row.kind),
                _amount(row.low_uj, row.energy_uj, row.score),
                f"{100 * row.share:.1f} %",
                text("synops", row.synops),
                count(row.macs),
                *(text("energy_uj", row.terms_uj.get(term)) for term in terms),
            )
    if estimate.static_uj:
        share = estimate.static_uj / (estimate.total_uj or 1.0)
        static = text("energy_uj", estimate.static_uj)
        table.add_row("static power", "", static, f"{100 * share:.1f} %")
    table.add_section()
    table.add_row(
        "total",
        "",
        _amount(estimate.low_uj, estimate.total_uj, estimate.score),
        "100 %",
        text("synops", estimate.counts["synops"]),
        count(estimate.counts["macs"]),
        *(text("energy_uj", estimate.terms_uj[term]) for term in terms),
    )
    return table


def comparison(estimate: "EnergyEstimate", others: Sequence["Comparison"]) -> Table:
    """Return the spiking network and the non-spiking ones of equal size."""
    table = _table()
    table.add_column("network")
    _add_numbers(table, "activations", "MACs", "energy", "times the spiking")
    _add_numbers(table, "equal at a spike rate of")
    macs = f"{count(estimate.counts['synops'])} synops + {count(estimate.counts['macs'])}"
    amount = _amount(estimate.low_uj, estimate.total_uj, estimate.score)
    table.add_row("spiking", "spikes", macs, amount, "", "")
    for other in others:
        table.add_row(
            other.network.replace("_", "-"),
            "full" if other.bits is None else f"{other.bits} bits",
            count(other.macs),
            text("energy_uj", other.energy_uj),
            "-" if other.times is None else f"{other.times:.3g}",
            _break_even(other.break_even_rate),
        )
    return table


def verdict(found: "Verdict") -> Table:
    """Return the violations and warnings of a chip: operation, limit, need, cure."""
    table = _table()
    _add_texts(table, "", "operation", "rule", "limit", "need", "have", "cure")
    for each in (*found.violations, *found.warnings):
        table.add_row(
            each.severity,
            escape(each.operation),
            each.rule,
            f"at least {each.limit:g}" if each.bound == "least" else f"{each.limit:g}",
            f"{each.need:g}",
            escape(each.have),
            escape(each.cure),
        )
    return table


def verdicts(found: Sequence[tuple["Verdict", "ChipProfile"]]) -> Table:
    """Return the verdicts of several chips, one per row, with the first reason of a misfit."""
    table = _table()
    for heading in ("chip", "class", "fits"):
        table.add_column(heading, no_wrap=True)
    for heading in ("violations", "warnings"):
        table.add_column(heading, justify="right")
    _add_texts(table, "first reason", "placement")
    for verdict, chip in found:
        first = verdict.violations[0] if verdict.violations else None
        reason = f"{first.rule} at {first.operation}: {first.reason}" if first else "-"
        table.add_row(
            verdict.chip,
            "clockless" if chip.clock == "none" else "time step",
            "yes" if verdict.fits else "no",
            str(len(verdict.violations)),
            str(len(verdict.warnings)),
            escape(reason),
            verdict.placement.summary if verdict.placement else "-",
        )
    return table


def published(systems: Sequence["PublishedSystem"]) -> Table:
    """Return published configurations: our counts, and the figures of their sources."""
    table = _table()
    table.add_column("name", no_wrap=True)
    _add_numbers(table, "params", "MACs", "ops", "top-1", "energy")
    table.add_column("source", overflow="fold")
    for each in systems:
        table.add_row(
            each.name,
            count(each.parameters),
            count(each.macs),
            "-" if each.operations is None else count(each.operations),
            "-" if each.accuracy is None else f"{100 * each.accuracy:.2f} %",
            "-" if each.energy_mj is None else text("energy_uj", 1e3 * each.energy_mj),
            escape(each.source),
        )
    return table


def records(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return rows of plain values; the keys of the first one are the headings."""
    table = _table()
    _add_texts(table, *(heading.replace("_", " ") for heading in (rows[0] if rows else ())))
    for row in rows:
        table.add_row(*("-" if value is None else escape(str(value)) for value in row.values()))
    return table


def _amount(low_uj: float | None, high_uj: float | None, score: float | None) -> str:
    if high_uj is None:
        return count(score or 0.0)
    return energy_range(high_uj if low_uj is None else low_uj, high_uj)


def _break_even(rate: float | None) -> str:
    ends = {0.0: "none, always dearer", 1.0: "any, always cheaper"}
    return text("spike_rate", rate) if rate is None else ends.get(rate, text("spike_rate", rate))


def _table() -> Table:
    return Table(caption_justify="left", box=None, pad_edge=False, header_style="bold")


def _add_texts(table: Table, *headings: str) -> None:
    for heading in headings:
        table.add_column(heading, overflow="fold")


def _add_numbers(table: Table, *headings: str) -> None:
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)


def _operand(operand: "Operand") -> str:
    return f"{_shape(operand.shape)} {operand.signal.value}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
