"""What can be done to issues, labels and comments, and the webhooks each act sets off.

Every act takes the account that does it and the App it acts through, if any. Acts that change
nothing announce nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from deploy.sandbox.world import shapes
from deploy.sandbox.world.model import (
    Account,
    App,
    Comment,
    Issue,
    Label,
    Occurrence,
    Reaction,
    Repository,
    Suggestion,
)
from deploy.sandbox.world.state import World


class Act:
    """Acts of one account on one world: `Act(world, mara).label(issue, ["bug"])`."""

    def __init__(self, world: World, actor: Account, via: App | None = None) -> None:
        self.world = world
        self.actor = actor
        self.via = via

    def _tell(self, event: str, action: str, repository: Repository, **extra: object) -> None:
        self.world.announce(Occurrence(event, action, self.actor, repository, extra=dict(extra)))

    def _tell_issue(self, action: str, issue: Issue, **extra: object) -> None:
        payload = shapes.issue(self.world, issue, webhook=True)
        self._tell("issues", action, issue.repository, issue=payload, **extra)

    # Issues

    def open(
        self,
        repository: Repository,
        title: str,
        body: str | None = None,
        labels: Iterable[str] = (),
        *,
        is_pull_request: bool = False,
    ) -> Issue:
        """A new issue; labels given with it are set in the author's name, one webhook each."""
        now = self.world.now()
        issue = Issue(
            id=self.world.new_id(),
            repository=repository,
            number=repository.next_number,
            title=title,
            body=body,
            author=self.actor,
            created=now,
            updated=now,
            via=self.via,
            is_pull_request=is_pull_request,
        )
        repository.next_number += 1
        repository.issues[issue.number] = issue
        added = self._put(issue, labels)
        if not is_pull_request:
            self._tell_issue("opened", issue)
            self._tell_labels("labeled", issue, added)
        return issue

    def edit(self, issue: Issue, *, title: str | None = None, body: str | None = None) -> None:
        """Change title or body; a new title is kept in the history."""
        changes: dict[str, dict[str, str]] = {}
        if title is not None and title != issue.title:
            changes["title"] = {"from": issue.title}
            event = self.world.record(issue, "renamed", self.actor, self.via)
            event.rename = (issue.title, title)
            issue.title = title
        if body is not None and body != (issue.body or ""):
            changes["body"] = {"from": issue.body or ""}
            issue.body = body
            issue.updated = self.world.now()
        if changes:
            self._tell_issue("edited", issue, changes=changes)

    def close(self, issue: Issue, reason: str = "completed") -> None:
        """Close an open issue."""
        if issue.state == "closed":
            return
        event = self.world.record(issue, "closed", self.actor, self.via)
        event.state_reason = reason
        issue.state, issue.state_reason = "closed", reason
        issue.closed, issue.closed_by = event.created, self.actor
        self._tell_issue("closed", issue)

    def reopen(self, issue: Issue) -> None:
        """Open a closed issue again."""
        if issue.state == "open":
            return
        self.world.record(issue, "reopened", self.actor, self.via)
        issue.state, issue.state_reason = "open", "reopened"
        issue.closed = issue.closed_by = None
        self._tell_issue("reopened", issue)

    def delete(self, issue: Issue) -> None:
        """Delete an issue for good: its number answers 410 from now on."""
        repository = issue.repository
        del repository.issues[issue.number]
        repository.gone[issue.number] = None
        self._tell_issue("deleted", issue)

    def transfer(self, issue: Issue, target: Repository) -> Issue:
        """Move an issue to another repository: the old number redirects. Labels of both stay."""
        repository, now = issue.repository, self.world.now()
        moved = Issue(
            id=self.world.new_id(),
            repository=target,
            number=target.next_number,
            title=issue.title,
            body=issue.body,
            author=issue.author,
            created=issue.created,
            updated=now,
            state=issue.state,
            labels=[mine for label in issue.labels if (mine := target.label(label.name))],
        )
        target.next_number += 1
        target.issues[moved.number] = moved
        del repository.issues[issue.number]
        repository.gone[issue.number] = moved
        changes = {
            "new_issue": shapes.issue(self.world, moved, webhook=True),
            "new_repository": shapes.repository(self.world, target, webhook=True),
        }
        self._tell_issue("transferred", issue, changes=changes)
        return moved

    # Labels on an issue

    def _label(self, repository: Repository, name: str) -> Label:
        known = repository.label(name)
        if known is not None:
            return known
        label = self.world.new_label(repository, name)
        self._tell(
            "label", "created", repository, label=shapes.label(self.world, repository, label)
        )
        return label

    def _put(self, issue: Issue, names: Iterable[str]) -> list[Label]:
        added = []
        for name in names:
            if issue.has(name):
                continue
            label = self._label(issue.repository, name)
            issue.labels.append(label)
            event = self.world.record(issue, "labeled", self.actor, self.via)
            event.label = (label.name, label.color)
            added.append(label)
        return added

    def _tell_labels(self, action: str, issue: Issue, labels: Iterable[Label]) -> None:
        for label in labels:
            shape = shapes.label(self.world, issue.repository, label)
            self._tell_issue(action, issue, label=shape)

    def label(self, issue: Issue, names: Iterable[str]) -> None:
        """Add labels; those already there are left alone, unknown ones are created."""
        self._tell_labels("labeled", issue, self._put(issue, names))

    def unlabel(self, issue: Issue, labels: Iterable[Label]) -> None:
        """Take labels off."""
        gone = [label for label in labels if label in issue.labels]
        for label in gone:
            issue.labels.remove(label)
            event = self.world.record(issue, "unlabeled", self.actor, self.via)
            event.label = (label.name, label.color)
        self._tell_labels("unlabeled", issue, gone)

    def set_labels(self, issue: Issue, names: Iterable[str]) -> None:
        """Make these the labels of the issue: what is missing goes on, what is not named off."""
        wanted = list(names)
        kept = {name.casefold() for name in wanted}
        self.unlabel(issue, [x for x in issue.labels if x.name.casefold() not in kept])
        self.label(issue, wanted)

    # Labels of a repository

    def create_label(
        self, repository: Repository, name: str, color: str, description: str | None
    ) -> Label:
        """A new label of the repository."""
        label = self.world.new_label(repository, name, color, description)
        self._tell(
            "label", "created", repository, label=shapes.label(self.world, repository, label)
        )
        return label

    def edit_label(
        self,
        repository: Repository,
        label: Label,
        *,
        name: str | None = None,
        color: str | None = None,
        description: str | None = None,
    ) -> None:
        """Rename, recolour or re-describe a label; issues show it at once."""
        changes: dict[str, dict[str, str]] = {}
        if name is not None and name != label.name:
            changes["name"] = {"from": label.name}
            del repository.labels[label.name.casefold()]
            label.name = name
            repository.labels[name.casefold()] = label
        if color is not None and color != label.color:
            changes["color"] = {"from": label.color}
            label.color = color
        if description is not None and description != (label.description or ""):
            changes["description"] = {"from": label.description or ""}
            label.description = description or None
        if changes:
            shape = shapes.label(self.world, repository, label)
            self._tell("label", "edited", repository, label=shape, changes=changes)

    def delete_label(self, repository: Repository, label: Label) -> None:
        """Delete a label: it leaves every issue, whose webhooks do not name it, and no event."""
        del repository.labels[label.name.casefold()]
        for issue in repository.issues.values():
            if label in issue.labels:
                issue.labels.remove(label)
                issue.updated = self.world.now()
                if not issue.is_pull_request:
                    self._tell_issue("unlabeled", issue)
        self._tell(
            "label", "deleted", repository, label=shapes.label(self.world, repository, label)
        )

    # Suggestions

    def suggest(
        self, issue: Issue, name: str, rationale: str | None, confidence: str | None
    ) -> Suggestion:
        """Propose a label; a pending proposal of the same label is replaced."""
        label, now = self._label(issue.repository, name), self.world.now()
        for earlier in issue.suggestions:
            if earlier.label is label and earlier.state == "pending":
                earlier.state, earlier.updated = "replaced", now
        suggestion = Suggestion(
            self.world.new_id(), issue, label, self.actor, rationale, confidence, now, now
        )
        issue.suggestions.append(suggestion)
        self.world.changed(f"/{issue.repository.full_name}")
        return suggestion

    def resolve(self, suggestion: Suggestion, *, approve: bool) -> None:
        """Approve (the label goes on, in the approver's name) or dismiss a suggestion."""
        suggestion.state = "approved" if approve else "dismissed"
        suggestion.updated, suggestion.resolved_by = self.world.now(), self.actor
        if approve:
            self.label(suggestion.issue, [suggestion.label.name])
            event = suggestion.issue.who_set(suggestion.label)
            suggestion.event_id = event.id if event else None
        self.world.changed(f"/{suggestion.issue.repository.full_name}")

    # Comments

    def _tell_comment(self, action: str, comment: Comment, **extra: object) -> None:
        self._tell(
            "issue_comment",
            action,
            comment.issue.repository,
            issue=shapes.issue(self.world, comment.issue, webhook=True),
            comment=shapes.comment(self.world, comment),
            **extra,
        )

    def comment(self, issue: Issue, body: str) -> Comment:
        """Say something on an issue."""
        now = self.world.now()
        comment = Comment(self.world.new_id(), issue, self.actor, body, now, now, self.via)
        issue.comments.append(comment)
        issue.updated = now
        self._tell_comment("created", comment)
        return comment

    def edit_comment(self, comment: Comment, body: str) -> None:
        """Change what was said."""
        if body == comment.body:
            return
        changes = {"body": {"from": comment.body}}
        comment.body, comment.updated = body, self.world.now()
        self._tell_comment("edited", comment, changes=changes)

    def delete_comment(self, comment: Comment) -> None:
        """Take back what was said."""
        comment.issue.comments.remove(comment)
        self._tell_comment("deleted", comment)

    def react(self, comment: Comment, content: str) -> tuple[Reaction, bool]:
        """React to a comment: the reaction, and whether it is new. One of a kind a person."""
        for reaction in comment.reactions:
            if reaction.author is self.actor and reaction.content == content:
                return reaction, False
        made = Reaction(self.world.new_id(), self.actor, content, self.world.now())
        comment.reactions.append(made)
        self.world.changed(f"/{comment.issue.repository.full_name}")
        return made, True
