"""Learning: corrections, repository config, commands, memory, model versions, runs"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

# SQLite only counts up by itself in a column called INTEGER.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and columns."""
    op.create_table(
        "command",
        sa.Column("id", ID, nullable=False),
        sa.Column("comment_id", sa.BigInteger(), nullable=False),
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("issue_number", sa.Integer(), nullable=False),
        sa.Column("lines", JSON, nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("words", JSON, nullable=False),
        sa.Column("outcome", sa.String(length=500), nullable=True),
        sa.Column("reply_id", sa.BigInteger(), nullable=True),
        sa.Column("happened_at", TIME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_command_repository_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_command")),
        sa.UniqueConstraint("comment_id", name=op.f("uq_command_comment_id")),
    )
    op.create_index("ix_command_due", "command", ["state", "due_at"], unique=False)
    op.create_index("ix_command_issue", "command", ["repository_id", "issue_number"], unique=False)
    op.create_table(
        "model_version",
        sa.Column("id", ID, nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("repository_id", ID, nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("uri", sa.String(length=500), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("manifest", JSON, nullable=False),
        sa.Column("parent", sa.String(length=100), nullable=True),
        sa.Column("report", JSON, nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("replaced", sa.String(length=100), nullable=True),
        sa.Column("problem", sa.String(length=500), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("activated_at", TIME, nullable=True),
        sa.Column("retired_at", TIME, nullable=True),
        sa.Column("rolled_back_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_model_version_repository_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_version")),
        sa.UniqueConstraint("version", name=op.f("uq_model_version_version")),
    )
    op.create_index(
        "ix_model_version_one_active",
        "model_version",
        ["repository_id"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_index(
        "ix_model_version_one_shared",
        "model_version",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state = 'active' AND repository_id IS NULL"),
        postgresql_where=sa.text("state = 'active' AND repository_id IS NULL"),
    )
    op.create_index(
        op.f("ix_model_version_repository_id"), "model_version", ["repository_id"], unique=False
    )
    op.create_table(
        "repository_config",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("in_force", JSON, nullable=True),
        sa.Column("sources", JSON, nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("problem_issue", sa.Integer(), nullable=True),
        sa.Column("read_at", TIME, nullable=True),
        sa.Column("paused_at", TIME, nullable=True),
        sa.Column("paused_by", sa.String(length=100), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(["id"], ["repository.id"], name=op.f("fk_repository_config_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repository_config")),
    )
    op.create_index(
        "ix_repository_config_due", "repository_config", ["state", "due_at"], unique=False
    )
    op.create_table(
        "retraining",
        sa.Column("id", ID, nullable=False),
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("asked_by", sa.String(length=100), nullable=False),
        sa.Column("until", TIME, nullable=True),
        sa.Column("model_version", sa.String(length=100), nullable=True),
        sa.Column("outcome", sa.String(length=500), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_retraining_repository_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retraining")),
    )
    op.create_index("ix_retraining_due", "retraining", ["state", "due_at"], unique=False)
    op.create_index(
        "ix_retraining_one_pending",
        "retraining",
        ["repository_id"],
        unique=True,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "review",
        sa.Column("id", ID, nullable=False),
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("issue_number", sa.Integer(), nullable=False),
        sa.Column("rights", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_review_repository_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint(
            "repository_id", "issue_number", name=op.f("uq_review_repository_id_issue_number")
        ),
    )
    op.create_index("ix_review_due", "review", ["state", "due_at"], unique=False)
    op.create_table(
        "label_name",
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("label_id", ID, nullable=False),
        sa.Column("folded", sa.String(length=50), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_label_name_repository_id")
        ),
        sa.PrimaryKeyConstraint("repository_id", "label_id", "folded", name=op.f("pk_label_name")),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("target", sa.String(length=200), nullable=True),
        sa.Column("asked_by", sa.String(length=100), nullable=False),
        sa.Column("cursor", sa.String(length=300), nullable=True),
        sa.Column("options", JSON, nullable=False),
        sa.Column("counts", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_run_repository_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index("ix_run_due", "run", ["state", "due_at"], unique=False)
    op.create_table(
        "correction",
        sa.Column("id", ID, nullable=False),
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("issue_number", sa.Integer(), nullable=False),
        sa.Column("snapshot_id", ID, nullable=True),
        sa.Column("dimension", sa.String(length=50), nullable=False),
        sa.Column("change", sa.String(length=20), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("predicted", JSON, nullable=False),
        sa.Column("model_version", sa.String(length=200), nullable=True),
        sa.Column("actor_id", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("happened_at", TIME, nullable=False),
        sa.Column("quarantine", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_correction_repository_id")
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_id"],
            ["issue_snapshot.id"],
            name=op.f("fk_correction_snapshot_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
        sa.UniqueConstraint(
            "repository_id",
            "issue_number",
            "dimension",
            name=op.f("uq_correction_repository_id_issue_number_dimension"),
        ),
    )
    op.create_index(
        "ix_correction_repository_happened",
        "correction",
        ["repository_id", "happened_at"],
        unique=False,
    )
    op.create_table(
        "memory_vector",
        sa.Column("id", ID, nullable=False),
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("snapshot_id", ID, nullable=False),
        sa.Column("model_version", sa.String(length=200), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("scores", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_memory_vector_repository_id")
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_id"],
            ["issue_snapshot.id"],
            name=op.f("fk_memory_vector_snapshot_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_vector")),
        sa.UniqueConstraint(
            "snapshot_id", "model_version", name=op.f("uq_memory_vector_snapshot_id_model_version")
        ),
    )
    op.create_index(
        "ix_memory_vector_newest",
        "memory_vector",
        ["repository_id", "model_version", "id"],
        unique=False,
    )
    op.add_column("decision", sa.Column("scores", JSON, nullable=True))
    op.add_column("decision", sa.Column("threshold", sa.Float(), nullable=True))
    op.add_column("application", sa.Column("undone", JSON, nullable=True))
    op.add_column("application", sa.Column("suggested", JSON, nullable=True))
    op.add_column("application", sa.Column("proposed", JSON, nullable=True))
    op.add_column("application", sa.Column("config", sa.String(length=64), nullable=True))
    op.add_column("issue_snapshot", sa.Column("opened_at", TIME, nullable=True))
    op.add_column("issue_snapshot", sa.Column("first_observed_at", TIME, nullable=True))
    op.add_column("issue_snapshot", sa.Column("run_id", sa.String(length=32), nullable=True))
    op.create_index(op.f("ix_issue_snapshot_run_id"), "issue_snapshot", ["run_id"], unique=False)
    op.add_column("label_event", sa.Column("trusted", sa.Boolean(), nullable=True))


def downgrade() -> None:
    """Drop them with all that was learned."""
    op.drop_column("label_event", "trusted")
    op.drop_index(op.f("ix_issue_snapshot_run_id"), table_name="issue_snapshot")
    op.drop_column("issue_snapshot", "run_id")
    op.drop_column("issue_snapshot", "first_observed_at")
    op.drop_column("issue_snapshot", "opened_at")
    op.drop_column("application", "undone")
    op.drop_column("application", "suggested")
    op.drop_column("application", "proposed")
    op.drop_column("application", "config")
    op.drop_column("decision", "threshold")
    op.drop_column("decision", "scores")
    op.drop_index("ix_memory_vector_newest", table_name="memory_vector")
    op.drop_table("memory_vector")
    op.drop_index("ix_correction_repository_happened", table_name="correction")
    op.drop_table("correction")
    op.drop_index("ix_run_due", table_name="run")
    op.drop_table("run")
    op.drop_table("label_name")
    op.drop_index("ix_review_due", table_name="review")
    op.drop_table("review")
    op.drop_index(
        "ix_retraining_one_pending",
        table_name="retraining",
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_index("ix_retraining_due", table_name="retraining")
    op.drop_table("retraining")
    op.drop_index("ix_repository_config_due", table_name="repository_config")
    op.drop_table("repository_config")
    op.drop_index(op.f("ix_model_version_repository_id"), table_name="model_version")
    op.drop_index(
        "ix_model_version_one_shared",
        table_name="model_version",
        sqlite_where=sa.text("state = 'active' AND repository_id IS NULL"),
        postgresql_where=sa.text("state = 'active' AND repository_id IS NULL"),
    )
    op.drop_index(
        "ix_model_version_one_active",
        table_name="model_version",
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.drop_table("model_version")
    op.drop_index("ix_command_issue", table_name="command")
    op.drop_index("ix_command_due", table_name="command")
    op.drop_table("command")
