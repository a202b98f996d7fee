"""Installations and repositories the App covers, learnt from whatever event names them first.

Webhooks come in any order, so an issue may come before its installation, and a removal after the
return. GitHub sends nothing of a suspended installation or a removed repository: an event that
happened later than the removal proves that it is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from app.db import configs
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.tables import Installation, IssueSnapshot, Repository


def learn_installation(session: Session, number: int, *, account: str, guess: str) -> Installation:
    """The installation of that id, made when new.

    `account` is its account's login where the event says so, `guess` the repository's owner: good
    enough until an event says it. Empty strings change nothing.
    """
    installation = session.get(Installation, number)
    if installation is None:
        name = account or guess
        insert_new(session, Installation, id=number, account=name, created_at=from_now())
        installation = session.get_one(Installation, number)
    installation.account = account or installation.account or guess
    return installation


def learn_repository(
    session: Session, installation: Installation, number: int, full_name: str, *, private: bool
) -> Repository:
    """The repository of that id, made when new, with the name and owner it has now."""
    repository = session.get(Repository, number)
    if repository is None:
        insert_new(
            session,
            Repository,
            id=number,
            installation_id=installation.id,
            full_name=full_name,
            private=private,
        )
        repository = session.get_one(Repository, number)
    if installation.deleted_at is None:
        # A late event of a deleted installation must not take the repository back from a new one.
        repository.installation_id = installation.id
        repository.full_name = full_name
        repository.private = private
        configs.learn(session, number)
    return repository


def refusal(installation: Installation, repository: Repository, at: datetime) -> str | None:
    """Why nothing is done for an event that happened `at`; None if we are welcome."""
    if installation.deleted_at is not None:
        return "the App was uninstalled"
    if installation.suspended_at is not None:
        if at <= installation.suspended_at:
            return "the installation is suspended"
        installation.suspended_at = None
    if repository.removed_at is not None:
        if at <= repository.removed_at:
            return "the App was removed from the repository"
        repository.removed_at = None
    return None


def remove_repositories(
    session: Session, installation: Installation, repositories: Iterable[int]
) -> None:
    """Nothing more is done for these repositories, unless another installation has them now."""
    session.execute(
        update(Repository)
        .where(
            Repository.id.in_(list(repositories)),
            Repository.installation_id == installation.id,
            Repository.removed_at.is_(None),
        )
        .values(removed_at=from_now()),
        execution_options={"synchronize_session": False},
    )


def end_installation(session: Session, installation: Installation) -> None:
    """The App was uninstalled. GitHub never uses an installation's id again."""
    session.execute(
        update(Installation)
        .where(Installation.id == installation.id, Installation.deleted_at.is_(None))
        .values(deleted_at=from_now()),
        execution_options={"synchronize_session": False},
    )


def repositories_of(installation_id: int) -> Select[int]:
    """The ids of the installation's repositories, to be chosen from."""
    return select(Repository.id).where(Repository.installation_id == installation_id)


def texts_of(installation_id: int) -> Select[int]:
    """The ids of every text of the installation's repositories, to be chosen from."""
    return (
        select(IssueSnapshot.id)
        .join(Repository, Repository.id == IssueSnapshot.repository_id)
        .where(Repository.installation_id == installation_id)
    )
