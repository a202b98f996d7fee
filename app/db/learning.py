"""Tables of what the bot learns and is told: corrections, config, commands, models, runs.

They extend `app.db.tables` under the same rules: unique keys are the idempotency rules, rows of
work carry a lease, and the queue only wakes workers.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.core.corrections import Change
from app.db.tables import Base, Id, Work


class Version(StrEnum):
    """Where a model version stands. At most one is active in a repository, and one shared."""

    CANDIDATE = "candidate"
    ACTIVE = "active"
    RETIRED = "retired"


class RunKind(StrEnum):
    """What a run over many issues does."""

    BACKFILL = "backfill"
    CATCH_UP = "catch-up"
    UNDO = "undo"


class Review(Work, Base):
    """An issue whose labels somebody changed: its corrections wait to be derived again.

    One row an issue; every further event makes it pending again, so a burst costs one look.
    `rights` maps the id of GitHub's event to whether its actor had triage rights when we asked:
    asked once, so that who loses them later does not change the past.
    """

    __tablename__ = "review"
    __table_args__ = (
        UniqueConstraint("repository_id", "issue_number"),
        Index("ix_review_due", "state", "due_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"))
    issue_number: Mapped[int]
    rights: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]


class LabelName(Base):
    """A name that a label of a repository has or had: one row each, so a rename adds one.

    `label_id` is GitHub's and survives renames. Which name holds now is for GitHub to say.
    """

    __tablename__ = "label_name"

    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"), primary_key=True)
    label_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    # Folded: GitHub compares label names without case.
    folded: Mapped[str] = mapped_column(String(50), primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Correction(Base):
    """What people with triage rights finally said of one dimension of one issue.

    A function of everything that happened to the issue, so that deliveries that come late, twice or
    out of order end alike. `labels` are the taxonomy's label names that stand by people's word;
    empty means that none of the dimension's labels belongs there. `predicted` are those that the
    bot had written. `snapshot_id` is the text to learn from, as of filing.
    """

    __tablename__ = "correction"
    __table_args__ = (
        UniqueConstraint("repository_id", "issue_number", "dimension"),
        Index("ix_correction_repository_happened", "repository_id", "happened_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"))
    issue_number: Mapped[int]
    snapshot_id: Mapped[int | None] = mapped_column(
        ForeignKey("issue_snapshot.id", ondelete="CASCADE")
    )
    dimension: Mapped[str] = mapped_column(String(50))
    change: Mapped[Change] = mapped_column(String(20))
    labels: Mapped[list[str]]
    predicted: Mapped[list[str]]
    model_version: Mapped[str | None] = mapped_column(String(200))
    actor_id: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(100))
    happened_at: Mapped[datetime]
    # Why it teaches nothing, if it does not (one person's flood of them, say).
    quarantine: Mapped[str | None] = mapped_column(String(200))


class RepositoryConfig(Work, Base):
    """`.github/triora.yml` of a repository as last read, and what is in force of it.

    `in_force` is the last good configuration, organisation's merged under the repository's; `{}`
    says nothing, None that no good one was ever read. `problem` is what is wrong with the newest
    text, `problem_issue` the number of the issue that says so. `read_at` is None until it was
    looked for once. `paused_at` is set by `/triage pause`.
    """

    __tablename__ = "repository_config"
    __table_args__ = (Index("ix_repository_config_due", "state", "due_at"),)

    id: Mapped[int] = mapped_column(
        ForeignKey("repository.id"), primary_key=True, autoincrement=False
    )
    in_force: Mapped[dict[str, Any] | None]
    # Per place ("repository", "owner"): {"etag", "good": what its last good text says, "mistakes"};
    # "clash": mistakes of both together; "reported": digest of what the issue about them says.
    sources: Mapped[dict[str, Any]] = mapped_column(default=dict)
    problem: Mapped[str | None] = mapped_column(Text)
    problem_issue: Mapped[int | None]
    read_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None] = mapped_column(String(100))
    created_at: Mapped[datetime]


class Command(Work, Base):
    """The commands of a comment, waiting to be carried out; GitHub's comment id is the key.

    `lines` are the commands' own lines, cut; nothing else of the comment is kept. `words` is what
    the actor said of labels by them, noted before anything is written: see `app.db.words`.
    """

    __tablename__ = "command"
    __table_args__ = (
        UniqueConstraint("comment_id"),
        Index("ix_command_due", "state", "due_at"),
        Index("ix_command_issue", "repository_id", "issue_number"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    comment_id: Mapped[int] = mapped_column(BigInteger)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"))
    issue_number: Mapped[int]
    lines: Mapped[list[str]]
    actor_id: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(100))
    words: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # What came of it, in words; None until it was carried out.
    outcome: Mapped[str | None] = mapped_column(String(500))
    # Our comment that answers it, if there is one.
    reply_id: Mapped[int | None] = mapped_column(BigInteger)
    happened_at: Mapped[datetime]
    created_at: Mapped[datetime]


class MemoryVector(Base):
    """An issue as a model version sees it; nearest corrected ones shift the repository's scores.

    Kept for the newest issues of a repository, whether anybody has corrected them or not yet.
    """

    __tablename__ = "memory_vector"
    __table_args__ = (
        UniqueConstraint("snapshot_id", "model_version"),
        Index("ix_memory_vector_newest", "repository_id", "model_version", "id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"))
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("issue_snapshot.id", ondelete="CASCADE"))
    model_version: Mapped[str] = mapped_column(String(200))
    # float16, little-endian
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    # dimension -> label -> probability, the version's own
    scores: Mapped[dict[str, Any]]


class ModelVersion(Base):
    """One adapter with its manifest, in the model store. `repository_id` None is shared by all.

    `digest` is the SHA-256 of the whole artifact, checked at load. `report` is what the gate
    measured, `reason` why it kept a candidate back, or why the version was retired. `replaced` is
    the version that was active before in the same place: what a rollback goes back to, unless that
    was itself rolled back. `problem` is why workers could not load it when they last tried.
    """

    __tablename__ = "model_version"
    __table_args__ = (
        UniqueConstraint("version"),
        Index(
            "ix_model_version_one_active",
            "repository_id",
            unique=True,
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
        # NULLs are distinct to a unique index, so the shared version needs one of its own.
        Index(
            "ix_model_version_one_shared",
            "state",
            unique=True,
            sqlite_where=text("state = 'active' AND repository_id IS NULL"),
            postgresql_where=text("state = 'active' AND repository_id IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    version: Mapped[str] = mapped_column(String(100))
    repository_id: Mapped[int | None] = mapped_column(ForeignKey("repository.id"), index=True)
    state: Mapped[Version] = mapped_column(String(20))
    uri: Mapped[str] = mapped_column(String(500))
    digest: Mapped[str] = mapped_column(String(64))
    manifest: Mapped[dict[str, Any]]
    # The version that was active when this one was trained.
    parent: Mapped[str | None] = mapped_column(String(100))
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    reason: Mapped[str] = mapped_column(String(500), default="")
    replaced: Mapped[str | None] = mapped_column(String(100))
    problem: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    rolled_back_at: Mapped[datetime | None]
    # Since then the store has its artifact no more: `triora models prune`.
    pruned_at: Mapped[datetime | None]


class Retraining(Work, Base):
    """A retraining of one repository's model; at most one waits or runs at a time."""

    __tablename__ = "retraining"
    __table_args__ = (
        Index("ix_retraining_due", "state", "due_at"),
        Index(
            "ix_retraining_one_pending",
            "repository_id",
            unique=True,
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"))
    asked_by: Mapped[str] = mapped_column(String(100))
    # The newest correction it learns from; fixed at the first claim, so a resumed run is the same.
    until: Mapped[datetime | None]
    model_version: Mapped[str | None] = mapped_column(String(100))
    outcome: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class Run(Work, Base):
    """A backfill of old issues, a catch-up after an absence, or an undo of what a run wrote.

    Snapshots and Applications carry the id of the run they belong to. `cursor` is where to go on,
    `options` is what was asked for, `counts` what came of it so far.
    """

    __tablename__ = "run"
    __table_args__ = (Index("ix_run_due", "state", "due_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"))
    kind: Mapped[RunKind] = mapped_column(String(20))
    # Of an undo: the run, or the model version, whose labels are taken back.
    target: Mapped[str | None] = mapped_column(String(200))
    asked_by: Mapped[str] = mapped_column(String(100))
    cursor: Mapped[str | None] = mapped_column(String(300))
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
