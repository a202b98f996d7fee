"""Recovery: fair claims, refusals that wait, and up to when deliveries are accounted for"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, the columns and the index."""
    op.create_table(
        "watermark",
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_watermark")),
    )
    op.add_column("installation", sa.Column("refused_since", TIME, nullable=True))
    op.add_column("repository", sa.Column("refused_since", TIME, nullable=True))
    op.create_index(
        "ix_issue_snapshot_line",
        "issue_snapshot",
        ["state", "repository_id", "run_id", "due_at"],
        unique=False,
    )


def downgrade() -> None:
    """Take them away again."""
    op.drop_index("ix_issue_snapshot_line", table_name="issue_snapshot")
    op.drop_column("repository", "refused_since")
    op.drop_column("installation", "refused_since")
    op.drop_table("watermark")
