"""Deliveries about what the App covers: installations and their repositories."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from app.db import configs, coverage, refusals, rows, work
from app.db.clock import from_now
from app.db.learning import Command, Review
from app.db.tables import Application, Installation, Outcome, Repository
from app.github import events
from app.github.events import Action, Event
from app.intake.verdict import Arrival, Verdict, ignored


def learn(session: Session, event: Event) -> tuple[Installation, Repository | None]:
    """The rows of the installation and the repository an event is about, brought up to date.

    ValueError without an installation.
    """
    if event.installation is None:
        raise ValueError("the caller looks for an installation first")
    account, owner = event.installation.account, event.repository and event.repository.owner
    installation = coverage.learn_installation(
        session,
        event.installation.id,
        account=account.login if account else "",
        guess=owner.login if owner else "",
    )
    if event.repository is None:
        return installation, None
    return installation, _learn_repository(session, installation, event.repository)


def _learn_repository(
    session: Session, installation: Installation, seen: events.Repository
) -> Repository:
    return coverage.learn_repository(
        session, installation, seen.id, seen.full_name, private=seen.private
    )


def installation_event(arrival: Arrival) -> Verdict:
    """Judge a delivery of the `installation` event."""
    event, installation = arrival.event, arrival.installation
    match event.action:
        case Action.DELETED:
            coverage.end_installation(arrival.session, installation)
        case Action.SUSPEND:
            told = event.installation.suspended_at if event.installation else None
            installation.suspended_at = told or from_now()
        case Action.UNSUSPEND:
            installation.suspended_at = None
            _resume(arrival)
        case Action.NEW_PERMISSIONS_ACCEPTED:
            _resume(arrival)
        case Action.CREATED:
            _cover(arrival, event.repositories)
    return Verdict(Outcome.INSTALLATION, f"installation {event.action}")


def _resume(arrival: Arrival) -> None:
    """An owner acted: what GitHub refused or was put off until then is due. The sweep rings."""
    session, number = arrival.session, arrival.installation.id
    for table in (Application, Review, Command):
        work.revive(session, table, rows.of_repositories(table, coverage.repositories_of(number)))
    refusals.lift(session, number)
    # The permission to read the configuration may be among what was granted.
    configs.want_all(session, number)


def selection_event(arrival: Arrival) -> Verdict:
    """Judge a delivery of the `installation_repositories` event."""
    _cover(arrival, arrival.event.repositories_added)
    gone = [repository.id for repository in arrival.event.repositories_removed]
    coverage.remove_repositories(arrival.session, arrival.installation, gone)
    return Verdict(Outcome.INSTALLATION, f"repositories {arrival.event.action}")


def _cover(arrival: Arrival, repositories: Iterable[events.Repository]) -> None:
    # In one order everywhere, so that two transactions never wait for each other in a circle.
    for seen in sorted(repositories, key=lambda repository: repository.id):
        repository = _learn_repository(arrival.session, arrival.installation, seen)
        if repository.installation_id == arrival.installation.id:
            repository.removed_at = None


def repository_event(arrival: Arrival) -> Verdict:
    """Judge a delivery of the `repository` event."""
    event, repository = arrival.event, arrival.repository
    if event.repository is None or repository is None:
        return ignored("no repository in the payload")
    owner = event.repository.owner.login if event.repository.owner else ""
    moved = event.action == Action.TRANSFERRED and owner != arrival.installation.account
    if event.action == Action.DELETED or moved:
        coverage.remove_repositories(arrival.session, arrival.installation, [repository.id])
    return Verdict(Outcome.INSTALLATION, f"repository {event.action}")
