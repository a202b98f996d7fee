"""GitHub under the names of the taxonomy, where maintainers renamed its labels.

What is read (labels of an issue, its events) bears the taxonomy's names, and what is written bears
those that hold now. So a renamed label is the same label to whoever decides, and nobody's old name
is created again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from app.core.aliases import Aliases
from app.core.repository_config import Config
from app.core.taxonomy import Taxonomy, starts_automation
from app.db import configs, label_names
from app.db.session import Database
from app.github.client import InstallationClient, IssuePage
from app.github.models import Issue, IssueEvent, Proposal, RepositoryLabel

L = TypeVar("L", Issue, IssueEvent)


def follow(
    database: Database,
    client: InstallationClient,
    repository_id: int,
    taxonomy: Taxonomy | None = None,
) -> InstallationClient:
    """`client` as it is, or one that follows the renames of the repository, if there were any.

    `taxonomy` is that of the repository's configuration, if none is given.
    """
    with database.reading() as session:
        aliases = label_names.aliases(session, repository_id)
        if not aliases.groups:
            return client
        known = taxonomy or configs.in_force(session, repository_id).config.taxonomy
    return Following(client, aliases, known)


def withheld(
    client: InstallationClient, repository: str, names: Iterable[str], config: Config
) -> set[str]:
    """Those of `names` whose labels were renamed to what only people set or starts automation."""
    if not isinstance(client, Following):
        return set()
    now = {name: client.called(repository, name) for name in names}
    return {name for name, new in now.items() if config.is_peoples(new) or starts_automation(new)}


class Following(InstallationClient):
    """Calls about one repository, under the names of its taxonomy."""

    def __init__(self, client: InstallationClient, aliases: Aliases, taxonomy: Taxonomy) -> None:
        super().__init__(client.connection)
        self._aliases = aliases
        self._taxonomy = taxonomy
        # The taxonomy's name, folded -> the name that holds now.
        self._now: dict[str, str] = {}

    def issue(self, repository: str, number: int) -> Issue:
        """The issue with its labels under the taxonomy's names."""
        found = super().issue(repository, number)
        for label in found.labels:
            self._now[self._known(label.name).casefold()] = label.name
        labels = tuple(self._labelled(label) for label in found.labels)
        return found.model_copy(update={"labels": labels})

    def open_issues(self, repository: str, page: int, since: datetime | None = None) -> IssuePage:
        """A page of the open issues with their labels under the taxonomy's names."""
        found = super().open_issues(repository, page, since)
        named = [
            issue.model_copy(update={"labels": tuple(self._labelled(x) for x in issue.labels)})
            for issue in found.issues
        ]
        return IssuePage(named, found.last)

    def issue_events(self, repository: str, number: int) -> list[IssueEvent]:
        """What happened to the issue, labels under the taxonomy's names."""
        return [
            event.model_copy(update={"label": self._labelled(event.label)})
            if event.label is not None
            else event
            for event in super().issue_events(repository, number)
        ]

    def lacks(self, repository: str, names: Collection[str]) -> set[str]:
        """Those of `names` that no label of the repository has, had, or was renamed from."""
        missing = super().lacks(repository, names)
        others = {other for name in missing for other in self._renamed(name)}
        there = others - super().lacks(repository, others) if others else set()
        for name in missing:
            for other in sorted(self._renamed(name) & there):
                self._now[name] = other
        return {name for name in missing if not self._renamed(name) & there}

    def has_label(self, repository: str, name: str) -> bool:
        """True if the repository has the label, under whatever name."""
        return super().has_label(repository, self.called(repository, name))

    def label_id(self, repository: str, name: str) -> int | None:
        """The id of the label, under whatever name."""
        return super().label_id(repository, self.called(repository, name))

    def add_labels(self, repository: str, number: int, names: list[str]) -> list[str]:
        """Add labels under the names that hold now."""
        called = [self.called(repository, name) for name in names]
        return [self._known(name) for name in super().add_labels(repository, number, called)]

    def propose_labels(
        self, repository: str, number: int, proposals: Sequence[Proposal]
    ) -> list[str]:
        """Propose labels under the names that hold now."""
        called = [
            proposal.model_copy(update={"name": self.called(repository, proposal.name)})
            for proposal in proposals
        ]
        return [self._known(name) for name in super().propose_labels(repository, number, called)]

    def remove_label(self, repository: str, number: int, name: str) -> None:
        """Take one label off, whatever it is called now."""
        super().remove_label(repository, number, self.called(repository, name))

    def called(self, repository: str, name: str) -> str:
        """What the label that the taxonomy calls `name` is called now."""
        folded = name.casefold()
        if folded not in self._now and self._renamed(name):
            self.lacks(repository, [name])
        return self._now.get(folded, name)

    def _known(self, name: str) -> str:
        return self._aliases.canonical(name, self._taxonomy)

    def _labelled(self, label: RepositoryLabel) -> RepositoryLabel:
        return label.model_copy(update={"name": self._known(label.name)})

    def _renamed(self, name: str) -> frozenset[str]:
        """The other names under which a label of the taxonomy may stand: none of the taxonomy's."""
        others = self._aliases.others(name)
        return frozenset(x for x in others if self._taxonomy.owner_of(x) is None)
