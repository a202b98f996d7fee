"""Pruned: when a model version's artifact was deleted from the store"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "model_version", sa.Column("pruned_at", sa.DateTime(timezone=True), nullable=True)
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("model_version", "pruned_at")
