"""The database's clock: machines may disagree on the time, leases may not."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from app.db.tables import UtcDateTime


class from_now(GenericFunction[Any]):  # noqa: N801 - reads as the SQL function it is
    """`from_now(seconds)`: so many seconds after the database's present; negative is before."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, seconds: float | ColumnElement[float] = 0.0) -> None:
        given = seconds if isinstance(seconds, ColumnElement) else literal(float(seconds))
        super().__init__(given)


@compiles(from_now, "postgresql")
def _postgresql(element: from_now, compiler: SQLCompiler, **options: Any) -> str:
    # Stable within a statement, so an index may be used; now() would be the transaction's start.
    seconds = compiler.process(element.clauses, **options)
    return f"(statement_timestamp() + make_interval(secs => {seconds}))"


@compiles(from_now, "sqlite")
def _sqlite(element: from_now, compiler: SQLCompiler, **options: Any) -> str:
    # The text form SQLAlchemy stores: UTC with six digits, so that comparing text compares times.
    seconds = compiler.process(element.clauses, **options)
    shift = f"printf('%+.3f seconds', {seconds})"
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {shift}) || '000')"
