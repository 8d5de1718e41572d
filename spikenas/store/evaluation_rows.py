"""An `Evaluation` as columns of ``evaluations`` and rows of ``layer_workloads``, and back."""

from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, insert, select

from spikenas.evaluation import Evaluation, State
from spikenas.exceptions import NotFoundError
from spikenas.figures import FIGURES
from spikenas.store.schema import architectures, evaluations, layer_workloads
from spikenas.workload import Workload


def evaluation_columns(evaluation: Evaluation) -> dict[str, Any]:
    """Return the columns of the candidate's row; ValueError for a figure out of range."""
    if complaint := evaluation.complaint():
        raise ValueError(complaint)
    columns = {name: value for name, value in evaluation.to_dict().items() if name != "workload"}
    for name, figure in FIGURES.items():
        if columns[name] is not None:  # database drivers reject numpy numbers
            columns[name] = figure.type(columns[name])
    return columns


def insert_workload(connection: Connection, row: int, workload: Workload) -> None:
    """Write the operations of a candidate, in order."""
    operations = workload.to_dict()["operations"]
    rows = [
        {
            "evaluation_id": row,
            "position": position,
            "name": operation.name,
            "kind": operation.kind.value,
            "macs": int(operation.macs),
            "steps": int(operation.steps),
            "synops": operation.synops,
            "spike_rate": operation.spike_rate,
            "operation": record,
        }
        for position, (operation, record) in enumerate(
            zip(workload.operations, operations, strict=True)
        )
    ]
    if rows:
        connection.execute(insert(layer_workloads), rows)


def read_evaluation(connection: Connection, row: int) -> Evaluation:
    """Return a candidate's evaluation; NotFoundError if its training has not completed."""
    found = connection.execute(
        select(evaluations, architectures.c.num_steps)
        .join(architectures, architectures.c.id == evaluations.c.architecture_id)
        .where(evaluations.c.id == row)
    ).one_or_none()
    if found is None or found.accuracy is None:
        state = State(found.state).value if found else "unknown"
        raise NotFoundError(f"candidate {row} has no result; it is {state}")
    columns = found._mapping
    layers = connection.execute(
        select(layer_workloads.c.operation)
        .where(layer_workloads.c.evaluation_id == row)
        .order_by(layer_workloads.c.position)
    ).scalars()
    names = {each.name for each in fields(Evaluation)} - {"workload"}
    workload = {
        "operations": list(layers),
        "num_steps": found.num_steps,
        "parameters": found.parameters,
    }
    return Evaluation.from_dict({**{name: columns[name] for name in names}, "workload": workload})
