"""Every table. The unique keys are the idempotency rules: writing the same fact twice is a no-op.

Two tables carry work, each row with a lease (`Work`): an IssueSnapshot waits to be scored, an
Application waits to be carried to GitHub. The queue only wakes workers; these rows are the truth.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Float,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import Integer, TypeDecorator

# SQLite only counts up by itself in a column called INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(postgresql.JSONB, "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, timezone-aware in Python and UTC in the database (SQLite keeps no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC for the database; ValueError for a time without a zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Timezone-aware, whatever the database keeps."""
        if value is not None and value.tzinfo is None:
            return value.replace(tzinfo=UTC)
        return value


class Base(DeclarativeBase):
    """Constraint names are fixed, so that migrations can name them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: Json,
        list[str]: Json,
    }


class Outcome(StrEnum):
    """What was done with a delivery."""

    TRIAGE = "triage"
    LABEL_EVENT = "label event"
    NOTED = "noted"
    COMMAND = "command"
    INSTALLATION = "installation"
    WITHDRAWN = "withdrawn"
    IGNORED = "ignored"


class State(StrEnum):
    """Where a row of work stands. Only PENDING rows are claimed; DEAD ones wait for a person."""

    PENDING = "pending"
    DONE = "done"
    SUPERSEDED = "superseded"
    DEAD = "dead"


class Installation(Base):
    """One installation of the App on an account. `id` is GitHub's."""

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    account: Mapped[str] = mapped_column(String(100))
    suspended_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    # No call is made for this installation before then: GitHub asked us to wait.
    blocked_until: Mapped[datetime | None]
    # Since then GitHub refuses every call: the key, or the installation, is not accepted.
    refused_since: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Repository(Base):
    """A repository an installation covers. `id` is GitHub's and survives renames."""

    __tablename__ = "repository"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    installation_id: Mapped[int] = mapped_column(ForeignKey("installation.id"), index=True)
    full_name: Mapped[str] = mapped_column(String(300), index=True)
    private: Mapped[bool]
    # The owner took it out of the installation, deleted it or transferred it away.
    removed_at: Mapped[datetime | None]
    # Since then GitHub refuses what we want to do there: a permission is missing, say.
    refused_since: Mapped[datetime | None]


class Delivery(Base):
    """One webhook call, keyed by GitHub's delivery GUID, and what was done with it."""

    __tablename__ = "delivery"

    guid: Mapped[str] = mapped_column(String(64), primary_key=True)
    event: Mapped[str] = mapped_column(String(100))
    action: Mapped[str | None] = mapped_column(String(100))
    installation_id: Mapped[int | None] = mapped_column(BigInteger)
    repository_id: Mapped[int | None] = mapped_column(BigInteger)
    outcome: Mapped[Outcome] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(String(200))
    received_at: Mapped[datetime] = mapped_column(index=True)


class Work:
    """Columns of a row that a process claims, works on and finishes.

    A claim sets `lease_token` and `lease_until`; whoever writes a result must still hold that
    token. `due_at` is when the row may be claimed next, `attempts` counts claims.
    """

    state: Mapped[State] = mapped_column(String(20), default=State.PENDING)
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None]
    # Class and text of the last error, without any issue text.
    error: Mapped[str | None] = mapped_column(String(500))


class IssueSnapshot(Work, Base):
    """Title and body of an issue exactly as the model sees them; waits to be scored.

    `observed_at` is GitHub's `updated_at` of the payload that brought the text: an older text that
    arrives later never replaces a newer one.
    """

    __tablename__ = "issue_snapshot"
    __table_args__ = (
        UniqueConstraint("repository_id", "issue_number", "content_hash"),
        Index("ix_issue_snapshot_due", "state", "due_at"),
        # A line is what one repository has waiting, live or of one run: see app.db.lines.
        Index("ix_issue_snapshot_line", "state", "repository_id", "run_id", "due_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"))
    issue_number: Mapped[int]
    author: Mapped[str] = mapped_column(String(100))
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(String(64))
    observed_at: Mapped[datetime]
    # The same of the first payload with this text, in GitHub's order. The earliest text is the one
    # that was filed.
    first_observed_at: Mapped[datetime | None]
    # When the issue was opened, where the payload said so: what "newest" means for a holdout.
    opened_at: Mapped[datetime | None]
    # The backfill it waits for, or waited for; None for a live issue, which goes first.
    run_id: Mapped[str | None] = mapped_column(String(32), index=True)
    created_at: Mapped[datetime]


class Prediction(Base):
    """Scores of one snapshot in one dimension by one model version; never changed."""

    __tablename__ = "prediction"
    __table_args__ = (UniqueConstraint("snapshot_id", "dimension", "model_version"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("issue_snapshot.id", ondelete="CASCADE"))
    dimension: Mapped[str] = mapped_column(String(50))
    model_version: Mapped[str] = mapped_column(String(200))
    # label -> calibrated probability
    scores: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Decision(Base):
    """What was decided on a Prediction: apply, suggest or abstain, and why.

    `scores` are the label probabilities it was decided on, where the repository's memory of
    corrections had shifted the Prediction's; None where they are the Prediction's own. `threshold`
    is what its likeliest label needed to be written.
    """

    __tablename__ = "decision"
    __table_args__ = (UniqueConstraint("prediction_id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    prediction_id: Mapped[int] = mapped_column(ForeignKey("prediction.id", ondelete="CASCADE"))
    action: Mapped[str] = mapped_column(String(20))
    labels: Mapped[list[str]]
    reason: Mapped[str] = mapped_column(String(100))
    scores: Mapped[dict[str, Any] | None]
    threshold: Mapped[float | None] = mapped_column(Float)
    created_at: Mapped[datetime]


class Application(Work, Base):
    """Labels of one snapshot's decisions on their way to GitHub, and what was really written.

    `wanted` maps a dimension to the GitHub label names decided for it, stored before GitHub is
    called. `written` are the names this row put on the issue, `kept` maps a dimension that was
    left alone to the reason. `suggested` are those to be proposed only, like `wanted`, `proposed`
    the names that were. `config` is the digest of the configuration it was decided under: under
    another one it is decided again. Rows of one run (one backfill, one live triage) share `run_id`.
    """

    __tablename__ = "application"
    __table_args__ = (
        UniqueConstraint("snapshot_id", "model_version"),
        Index("ix_application_due", "state", "due_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("issue_snapshot.id", ondelete="CASCADE"))
    model_version: Mapped[str] = mapped_column(String(200))
    run_id: Mapped[str] = mapped_column(String(32), index=True)
    wanted: Mapped[dict[str, Any]]
    written: Mapped[list[str]] = mapped_column(default=list)
    kept: Mapped[dict[str, Any]] = mapped_column(default=dict)
    suggested: Mapped[dict[str, Any] | None]
    proposed: Mapped[list[str] | None]
    config: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
    # The names a later undo took off again.
    undone: Mapped[list[str] | None]


class LabelEvent(Base):
    """Somebody put a label on an issue or took one off, as a webhook told us.

    The delivery GUID is the key: a redelivery changes nothing. `label` is empty where GitHub took
    a label off because it was deleted from the repository: it does not say then which one.
    """

    __tablename__ = "label_event"
    __table_args__ = (Index("ix_label_event_issue", "repository_id", "issue_number"),)

    guid: Mapped[str] = mapped_column(
        ForeignKey("delivery.guid", ondelete="CASCADE"), primary_key=True
    )
    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"))
    issue_number: Mapped[int]
    label: Mapped[str] = mapped_column(String(50))
    added: Mapped[bool]
    actor_id: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(100))
    actor_type: Mapped[str] = mapped_column(String(20))
    # Whether the actor had triage rights when we asked; None until then.
    trusted: Mapped[bool | None]
    happened_at: Mapped[datetime]


class Watermark(Base):
    """A moment up to which something is known to be complete, by name."""

    __tablename__ = "watermark"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    at: Mapped[datetime]


class Write(Base):
    """A call that changed something on GitHub, about to be made; kept for an hour, to be counted.

    GitHub bears so many a minute and an hour: see app.db.budget.
    """

    __tablename__ = "write"
    __table_args__ = (Index("ix_write_installation", "installation_id", "at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    installation_id: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]


class SeenLabel(Base):
    """A label of the taxonomy that stood in a repository when we wrote, found there or created.

    If such a label is missing later, somebody deleted or renamed it: it is not created again.
    """

    __tablename__ = "seen_label"

    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"), primary_key=True)
    # Folded: GitHub compares label names without case.
    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    seen_at: Mapped[datetime]
