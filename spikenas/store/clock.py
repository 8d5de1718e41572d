"""Time by the database's clock, so that hosts with different clocks agree; always UTC.

PostgreSQL stores ``timestamptz``. SQLite stores text, ``2026-11-24 09:12:03.250``, which sorts by
time and is written only by SQLite itself.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcTime(TypeDecorator[datetime]):
    """A timestamp, read as an aware `datetime` in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use text in SQLite, which has no type for a timestamp."""
        sqlite = dialect.name == "sqlite"
        return dialect.type_descriptor(String(23) if sqlite else DateTime(timezone=True))

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the driver's text or datetime as an aware datetime."""
        if isinstance(value, str):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        return None if value is None else value.astimezone(UTC)


class DatabaseTime(ColumnElement[datetime]):
    """The database's current time plus ``seconds``, as an SQL expression."""

    inherit_cache = False
    type = UtcTime()

    def __init__(self, *, seconds: int = 0) -> None:
        self.seconds = int(seconds)


@compiles(DatabaseTime, "sqlite")
def _sqlite(element: DatabaseTime, compiler: SQLCompiler, **_: Any) -> str:
    return f"strftime('%Y-%m-%d %H:%M:%f', 'now', '{element.seconds} seconds')"


@compiles(DatabaseTime, "postgresql")
def _postgresql(element: DatabaseTime, compiler: SQLCompiler, **_: Any) -> str:
    return f"(clock_timestamp() + interval '{element.seconds} seconds')"
