"""Everything the stand-in knows, in memory: accounts, repositories, the App, its installations.

One thread owns a World: the one that runs the server's event loop. Nothing here locks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from deploy.sandbox.world.model import (
    Account,
    App,
    Event,
    Installation,
    Issue,
    Label,
    Occurrence,
    Repository,
    Role,
)


class World:
    """The state, its clock, and the two ways news leave it: webhooks and the pages' live feed."""

    def __init__(self, base_url: str = "http://127.0.0.1") -> None:
        self.base_url = base_url
        self.skew = timedelta()
        self._ids = itertools.count(1000001)
        self.accounts: dict[str, Account] = {}
        self.repositories: dict[int, Repository] = {}
        self.moved: dict[str, int] = {}
        self.apps: dict[int, App] = {}
        self.installations: dict[int, Installation] = {}
        self.on_occurrence: list[Callable[[Occurrence], None]] = []
        self.on_change: list[Callable[[str], None]] = []

    # Clock and ids

    def now(self) -> datetime:
        """The stand-in's time in whole seconds, as GitHub tells it; `skew` moves it."""
        return (datetime.now(UTC) + self.skew).replace(microsecond=0)

    def new_id(self) -> int:
        """A number nothing else has."""
        return next(self._ids)

    # News

    def announce(self, occurrence: Occurrence) -> None:
        """Tell the webhook sender and, where a repository is concerned, the pages."""
        for listener in self.on_occurrence:
            listener(occurrence)
        if occurrence.repository is not None:
            self.changed(f"/{occurrence.repository.full_name}")

    def changed(self, topic: str) -> None:
        """Tell open pages that what they show under `topic` is different now."""
        for listener in self.on_change:
            listener(topic)

    # Accounts

    def account(self, login: str) -> Account | None:
        """The account of that login, in any case."""
        return self.accounts.get(login.casefold())

    def add_account(self, login: str, kind: str = "User", name: str | None = None) -> Account:
        """A new account, or the one already there."""
        known = self.account(login)
        if known is not None:
            return known
        account = Account(id=self.new_id(), login=login, kind=kind, name=name, created=self.now())
        self.accounts[login.casefold()] = account
        return account

    def people(self) -> list[Account]:
        """Everybody who can act on the pages, in the order they came."""
        return [account for account in self.accounts.values() if account.kind == "User"]

    # Repositories

    def repository(self, owner: str, name: str) -> Repository | None:
        """The repository that has this name today."""
        wanted = f"{owner}/{name}".casefold()
        for repository in self.repositories.values():
            if repository.full_name.casefold() == wanted:
                return repository
        return None

    def moved_to(self, owner: str, name: str) -> Repository | None:
        """The repository that had this name before it was renamed or transferred."""
        known = self.moved.get(f"{owner}/{name}".casefold())
        return None if known is None else self.repositories.get(known)

    def add_repository(
        self,
        full_name: str,
        *,
        private: bool = False,
        description: str | None = None,
        roles: dict[str, Role] | None = None,
    ) -> Repository:
        """A new repository; its owner becomes an organization unless the account exists."""
        owner, _, name = full_name.partition("/")
        now = self.now()
        repository = Repository(
            id=self.new_id(),
            owner=self.account(owner) or self.add_account(owner, "Organization"),
            name=name,
            created=now,
            updated=now,
            private=private,
            description=description,
            roles={login.casefold(): role for login, role in (roles or {}).items()},
        )
        self.repositories[repository.id] = repository
        self.moved.pop(full_name.casefold(), None)
        return repository

    def new_label(
        self,
        repository: Repository,
        name: str,
        color: str = "ededed",
        description: str | None = None,
    ) -> Label:
        """A label of the repository, without any webhook (see `world.labels`)."""
        label = Label(self.new_id(), name, color, description)
        repository.labels[name.casefold()] = label
        return label

    def record(self, issue: Issue, kind: str, actor: Account, app: App | None = None) -> Event:
        """An event on the issue's history, by a person or through an App."""
        event = Event(self.new_id(), issue, kind, actor, self.now(), via=app)
        issue.events.append(event)
        issue.updated = event.created
        return event

    # Apps

    def installations_over(self, repository: Repository) -> Iterator[Installation]:
        """Installations that cover a repository, suspended ones too."""
        for installation in self.installations.values():
            if installation.covers(repository):
                yield installation

    def repositories_of(self, installation: Installation) -> list[Repository]:
        """Repositories an installation was given."""
        return [r for r in self.repositories.values() if installation.covers(r)]
