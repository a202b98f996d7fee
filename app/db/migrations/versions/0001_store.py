"""The store: deliveries, issues, predictions, applications, label events"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

# SQLite only counts up by itself in a column called INTEGER.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "delivery",
        sa.Column("guid", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=True),
        sa.Column("installation_id", sa.BigInteger(), nullable=True),
        sa.Column("repository_id", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("guid", name=op.f("pk_delivery")),
    )
    op.create_index(op.f("ix_delivery_received_at"), "delivery", ["received_at"])

    op.create_table(
        "installation",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("suspended_at", TIME, nullable=True),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("blocked_until", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.create_table(
        "repository",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("installation_id", ID, nullable=False),
        sa.Column("full_name", sa.String(length=300), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("removed_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["installation_id"], ["installation.id"], name=op.f("fk_repository_installation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repository")),
    )
    op.create_index(op.f("ix_repository_full_name"), "repository", ["full_name"])
    op.create_index(op.f("ix_repository_installation_id"), "repository", ["installation_id"])

    op.create_table(
        "issue_snapshot",
        sa.Column("id", ID, nullable=False),
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("issue_number", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("observed_at", TIME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_issue_snapshot_repository_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issue_snapshot")),
        sa.UniqueConstraint(
            "repository_id",
            "issue_number",
            "content_hash",
            name=op.f("uq_issue_snapshot_repository_id_issue_number_content_hash"),
        ),
    )
    op.create_index("ix_issue_snapshot_due", "issue_snapshot", ["state", "due_at"])

    op.create_table(
        "label_event",
        sa.Column("guid", sa.String(length=64), nullable=False),
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("issue_number", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=50), nullable=False),
        sa.Column("added", sa.Boolean(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("actor_type", sa.String(length=20), nullable=False),
        sa.Column("happened_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["guid"], ["delivery.guid"], name=op.f("fk_label_event_guid"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_label_event_repository_id")
        ),
        sa.PrimaryKeyConstraint("guid", name=op.f("pk_label_event")),
    )
    op.create_index("ix_label_event_issue", "label_event", ["repository_id", "issue_number"])

    op.create_table(
        "seen_label",
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_seen_label_repository_id")
        ),
        sa.PrimaryKeyConstraint("repository_id", "name", name=op.f("pk_seen_label")),
    )
    op.create_table(
        "application",
        sa.Column("id", ID, nullable=False),
        sa.Column("snapshot_id", ID, nullable=False),
        sa.Column("model_version", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("wanted", JSON, nullable=False),
        sa.Column("written", JSON, nullable=False),
        sa.Column("kept", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("applied_at", TIME, nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(
            ["snapshot_id"],
            ["issue_snapshot.id"],
            name=op.f("fk_application_snapshot_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application")),
        sa.UniqueConstraint(
            "snapshot_id", "model_version", name=op.f("uq_application_snapshot_id_model_version")
        ),
    )
    op.create_index("ix_application_due", "application", ["state", "due_at"])
    op.create_index(op.f("ix_application_run_id"), "application", ["run_id"])

    op.create_table(
        "prediction",
        sa.Column("id", ID, nullable=False),
        sa.Column("snapshot_id", ID, nullable=False),
        sa.Column("dimension", sa.String(length=50), nullable=False),
        sa.Column("model_version", sa.String(length=200), nullable=False),
        sa.Column("scores", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot_id"],
            ["issue_snapshot.id"],
            name=op.f("fk_prediction_snapshot_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prediction")),
        sa.UniqueConstraint(
            "snapshot_id",
            "dimension",
            "model_version",
            name=op.f("uq_prediction_snapshot_id_dimension_model_version"),
        ),
    )
    op.create_table(
        "decision",
        sa.Column("id", ID, nullable=False),
        sa.Column("prediction_id", ID, nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["prediction_id"],
            ["prediction.id"],
            name=op.f("fk_decision_prediction_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint("prediction_id", name=op.f("uq_decision_prediction_id")),
    )


def downgrade() -> None:
    """Drop every table with all that was stored."""
    for table in (
        "decision",
        "prediction",
        "application",
        "seen_label",
        "label_event",
        "issue_snapshot",
        "repository",
        "installation",
        "delivery",
    ):
        op.drop_table(table)
