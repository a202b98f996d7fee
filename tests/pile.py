"""A database with a long backlog in it, filled in bulk within the database."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Integer, String, case, cast, insert, literal, select, text
from sqlalchemy.orm import Session

from app.db.clock import from_now
from app.db.learning import RepositoryConfig, Review
from app.db.session import Database
from app.db.tables import (
    Application,
    Delivery,
    Installation,
    IssueSnapshot,
    LabelEvent,
    Outcome,
    Repository,
    State,
)


def pile_up(database: Database, count: int, *, labels: int = 0, installations: int = 1) -> None:
    """`count` issues wait to be scored, in as many repositories as installations.

    `labels`: so many further ones are scored and wait for their labels; as many deliveries, label
    events and reviews are kept. The database's statistics are brought up to date.
    """
    with database.transaction() as session:
        now = session.scalar(select(from_now()))
        for number in range(1, installations + 1):
            session.add(Installation(id=number, account=f"octo{number}", created_at=now))
            session.flush()
            name = f"octo{number}/game"
            session.add(
                Repository(id=number, installation_id=number, full_name=name, private=False)
            )
            session.flush()
            session.add(
                RepositoryConfig(
                    id=number,
                    sources={},
                    in_force={},
                    read_at=now,
                    created_at=now,
                    due_at=now + timedelta(hours=1),
                )
            )
        session.flush()
        _issues(session, count, labels, installations)
        if labels:
            _labels(session, count, labels)
    if not database.is_sqlite:
        with database.transaction() as session:
            session.execute(text("ANALYZE"))


def _numbers(first: int, last: int):
    n = select(literal(first, Integer).label("n")).cte("numbers", recursive=True)
    return n.union_all(select(n.c.n + 1).where(n.c.n < last))


def _issues(session: Session, count: int, labels: int, installations: int) -> None:
    n = _numbers(1, count + labels).c.n
    digits = cast(n, String)
    _fill(
        session,
        IssueSnapshot,
        repository_id=n % installations + 1,
        issue_number=n,
        author=literal("ann"),
        title=literal("crash in level ") + digits,
        body=literal("It crashes. " * 40),
        content_hash=digits,
        state=case((n <= count, State.PENDING), else_=State.DONE),
        attempts=literal(0),
        observed_at=from_now(-60),
        created_at=from_now(-60),
        due_at=from_now(-60),
    )


def _labels(session: Session, count: int, labels: int) -> None:
    texts = select(IssueSnapshot).where(IssueSnapshot.state == State.DONE).subquery().c
    work = {"due_at": from_now(-30), "attempts": literal(0), "created_at": from_now(-60)}
    _fill(
        session,
        Application,
        snapshot_id=texts.id,
        model_version=literal("m"),
        run_id=literal("r"),
        wanted=literal({}, Application.wanted.type),
        written=literal([], Application.written.type),
        kept=literal({}, Application.kept.type),
        state=literal(State.PENDING),
        **work,
    )
    _fill(
        session,
        Review,
        repository_id=texts.repository_id,
        issue_number=texts.issue_number,
        rights=literal({}, Review.rights.type),
        state=case((texts.id % 2 == 0, State.PENDING), else_=State.DONE),
        **work,
    )
    guid = cast(texts.id, String)
    _fill(
        session,
        Delivery,
        guid=guid,
        event=literal("issues"),
        outcome=literal(Outcome.LABEL_EVENT),
        reason=literal(""),
        received_at=from_now(-60),
    )
    _fill(
        session,
        LabelEvent,
        guid=guid,
        repository_id=texts.repository_id,
        issue_number=texts.issue_number,
        label=literal("bug"),
        added=literal(True),
        actor_id=literal(7),
        actor=literal("mara"),
        actor_type=literal("User"),
        happened_at=from_now(-60),
    )


def _fill(session: Session, table, **columns) -> None:
    session.execute(insert(table).from_select(list(columns), select(*columns.values())))
