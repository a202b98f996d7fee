"""Budget: the writes of the last hour, to keep within what GitHub bears"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "write",
        sa.Column("id", number, nullable=False),
        sa.Column("installation_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_write")),
    )
    op.create_index("ix_write_installation", "write", ["installation_id", "at"], unique=False)


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("write")
