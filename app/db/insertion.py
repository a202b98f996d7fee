"""Insert a fact unless it is already there: the unique keys decide, on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db.tables import Base


def insert_new(session: Session, table: type[Base], **values: Any) -> bool:
    """INSERT … ON CONFLICT DO NOTHING. True if the row is new.

    When another transaction is inserting the same key, this one waits for its end.
    """
    dialect = session.get_bind().dialect.name
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(table).values(**values)
    # RETURNING is empty when nothing was inserted; drivers do not agree on the row count.
    key = inspect(table).primary_key
    return session.execute(statement.on_conflict_do_nothing().returning(*key)).first() is not None
