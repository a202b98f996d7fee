"""What Alembic runs for each command: migrations on the connection `app.db.migrate` opened."""

from __future__ import annotations

from alembic import context

from app.db import learning  # noqa: F401 - its tables belong to the metadata
from app.db.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter most of a column: Alembic copies the table instead.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
