"""Tables for terminals, one function a noun. They are returned without heading, never printed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from spikenas.report.figures import count, genes, text

if TYPE_CHECKING:
    from spikenas.hardware import EnergyEstimate, Verdict
    from spikenas.store import Candidate
    from spikenas.workload import Operand, Workload


def front(members: Sequence["Candidate"], *, total: int | None = None) -> Table:
    """Return members of a Pareto front, one a row; ``total`` is how many the front has."""
    is_part = total is not None and len(members) < total
    caption = f"{len(members)} of {total} members" if is_part else None
    table = _table(caption=caption)
    table.add_column("id", no_wrap=True)
    for heading in ("accuracy", "test", "energy", "spike rate", "parameters", "T"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("architecture", overflow="fold")
    for member in members:
        table.add_row(
            member.id,
            text("accuracy", member.accuracy),
            text("accuracy", member.test_accuracy),
            text("energy_uj", member.energy_uj),
            text("spike_rate", member.spike_rate),
            text("parameters", member.parameters),
            text("latency_steps", member.latency_steps),
            genes(member.genes),
        )
    return table


def counts(by_state: Mapping[str, int]) -> Table:
    """Return how many candidates are in each state, empty states left out."""
    table = _table()
    table.add_column("state")
    table.add_column("candidates", justify="right")
    for state, number in by_state.items():
        if number:
            table.add_row(state, str(number))
    return table


def operations(workload: "Workload") -> Table:
    """Return every operation of a network: who feeds it, what it costs and keeps.

    Rates and synaptic operations join once they are known.
    """
    table = _table()
    for heading in ("operation", "kind", "fed by", "input", "output"):
        table.add_column(heading, overflow="fold")
    figures = ["MACs", "steps", "weights", "biases", "neurons", "state"]
    if workload.is_measured:
        figures += ["input rate", "synops", "events"]
    for heading in figures:
        table.add_column(heading, justify="right", no_wrap=True)
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
    """Return the energy of each operation that costs any, and its share of the whole."""
    table = _table()
    table.add_column("operation", overflow="fold")
    table.add_column("kind")
    for heading in ("energy", "share", "synops", "MACs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in estimate.operations:
        if row.energy_uj:
            table.add_row(
                escape(row.name),
                str(row.kind),
                text("energy_uj", row.energy_uj),
                f"{100 * row.share:.1f} %",
                text("synops", row.synops),
                count(row.macs),
            )
    table.add_section()
    table.add_row("total", "", text("energy_uj", estimate.total_uj), "100 %", "", "")
    return table


def verdict(found: "Verdict") -> Table:
    """Return what a chip refuses and warns of: where, limit, need, cure."""
    table = _table()
    for heading in ("", "operation", "rule", "limit", "need", "have", "cure"):
        table.add_column(heading, overflow="fold")
    for each in (*found.violations, *found.warnings):
        table.add_row(
            each.severity,
            escape(each.operation),
            each.rule,
            f"{each.limit:g}",
            f"{each.need:g}",
            escape(each.have),
            escape(each.cure),
        )
    return table


def records(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return rows of plain values under the names of the first one's keys."""
    table = _table()
    for heading in rows[0] if rows else ():
        table.add_column(heading.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("-" if value is None else escape(str(value)) for value in row.values()))
    return table


def _table(*, caption: str | None = None) -> Table:
    return Table(
        caption=caption, caption_justify="left", box=None, pad_edge=False, header_style="bold"
    )


def _operand(operand: "Operand") -> str:
    return f"{_shape(operand.shape)} {operand.signal.value}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
