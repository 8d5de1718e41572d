"""The Pareto front, computed in SQL.

For two objectives, a window function sorts the rows by one of them and keeps the running best of
the other. A row that is better than all rows before it is on the front, unless another row with
the same sort value is better still. Equal points are on the front together, as in
`spikenas.pareto`, which handles three and more objectives.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select
from sqlalchemy.sql.visitors import iterate

from spikenas.evaluation import State
from spikenas.figures import Figure
from spikenas.pareto import is_non_dominated
from spikenas.store.schema import architectures, evaluations


def front_rows(
    connection: Connection,
    run: int,
    objectives: Sequence[Figure],
    where: ColumnElement[bool],
) -> list[int]:
    """Return the ids on the front of those rows of the run that satisfy ``where``."""
    # A row written before a figure was added has no value to compare.
    where = and_(where, *(evaluations.c[each.name].is_not(None) for each in objectives))
    if len(objectives) <= 2:
        return list(connection.execute(_sweep(run, objectives, where)).scalars())
    columns = [evaluations.c[objective.name] for objective in objectives]
    rows = connection.execute(_trained(run, where, evaluations.c.id, *columns)).all()
    losses = [
        [objective.loss(value) for objective, value in zip(objectives, row[1:], strict=True)]
        for row in rows
    ]
    return [row[0] for row, is_on in zip(rows, is_non_dominated(losses), strict=True) if is_on]


def _sweep(run: int, objectives: Sequence[Figure], where: ColumnElement[bool]) -> Select[Any]:
    """Return the query for the ids on the front of one or two objectives."""
    # Sort by energy if it is an objective: the index is in that order.
    by, other = sorted((objectives[0], objectives[-1]), key=lambda o: o.name != "energy_uj")
    x, y = evaluations.c[by.name].label("x"), evaluations.c[other.name].label("y")
    best = func.max if other.direction == "maximize" else func.min
    order = x.desc() if by.direction == "maximize" else x.asc()
    before = best(y).over(order_by=order, rows=(None, -1)).label("best_before")
    swept = _trained(run, where, x, y, before).subquery()
    is_better = (
        swept.c.y > swept.c.best_before
        if other.direction == "maximize"
        else swept.c.y < swept.c.best_before
    )
    # Rows of equal x come in any order, so several may pass: keep the best of them.
    points = (
        select(swept.c.x, best(swept.c.y).label("y"))
        .where(or_(swept.c.best_before.is_(None), is_better))
        .group_by(swept.c.x)
        .subquery()
    )
    return _trained(run, where, evaluations.c.id).join(
        points, (points.c.x == evaluations.c[by.name]) & (points.c.y == evaluations.c[other.name])
    )


def _trained(run: int, where: ColumnElement[bool], *columns: ColumnElement[Any]) -> Select[Any]:
    """Return a query over the rows that can be on a front: complete and not a duplicate."""
    query = select(*columns).select_from(evaluations).where(where)
    # The join takes longer than the sweep, so add it only if it is needed.
    if any(getattr(part, "table", None) is architectures for part in iterate(where)):
        query = query.join(architectures, architectures.c.id == evaluations.c.architecture_id)
    return query.where(
        evaluations.c.run_id == run,
        evaluations.c.state == State.COMPLETE.value,
        evaluations.c.duplicate_of.is_(None),
    )
