"""Propose labels that are likely but not sure enough to be written, where GitHub has suggestions.

Where it has none, nothing is written: a proposal that cannot be made is no reason to label.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from app.core.commands import named, sentence
from app.core.taxonomy import Dimension, Label, Taxonomy
from app.github.client import InstallationClient
from app.github.models import Confidence, Proposal
from worker.plan import DELETED, MISSING, Plan

log = structlog.get_logger()

NO_SUGGESTIONS = "GitHub has no suggestions in this repository"
PROPOSED_BEFORE = "it was proposed before"
_HIGH, _MEDIUM = 0.8, 0.6

Chances = Mapping[str, Mapping[str, float]]


@dataclass
class Outcome:
    """What was proposed (GitHub names), which labels were made for it, and what was not and why."""

    proposed: list[str] = field(default_factory=list)
    created: list[Label] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Proposing:
    """Proposals on one issue. `before_write` may raise; `after_write` waits a moment."""

    client: InstallationClient
    repository: str
    number: int
    taxonomy: Taxonomy
    # Names (folded) of labels that once stood in the repository.
    seen: Collection[str]
    before_write: Callable[[], None]
    after_write: Callable[[], None]

    def propose(self, offer: Plan, live: Sequence[str], chances: Chances) -> Outcome:
        """Propose what `offer` would add, but for what was ever proposed on this issue."""
        outcome = Outcome(kept=dict(offer.kept))
        if not offer.add:
            return outcome
        earlier = self.client.proposed(self.repository, self.number)
        if earlier is None:
            outcome.kept |= {d.name: NO_SUGGESTIONS for d, _ in self._owned(offer)}
            return outcome
        proposals = [
            _proposal(dimension, label, chances)
            for dimension, label in self._owned(offer)
            if self._may(dimension, label, earlier, outcome)
        ]
        if proposals:
            self.before_write()
            after = self.client.propose_labels(self.repository, self.number, proposals)
            self.after_write()
            self._take_back({p.name for p in proposals}, live, after)
        outcome.proposed = [p.name for p in proposals]
        return outcome

    def _owned(self, offer: Plan) -> list[tuple[Dimension, Label]]:
        found = [self.taxonomy.owner_of(label.github) for label in offer.add]
        return [owner for owner in found if owner is not None]

    def _may(
        self, dimension: Dimension, label: Label, earlier: Collection[int], outcome: Outcome
    ) -> bool:
        number = self.client.label_id(self.repository, label.github)
        if number is None:
            if label.github.casefold() in self.seen:
                outcome.kept[dimension.name] = DELETED
                return False
            if not label.create:
                outcome.kept[dimension.name] = MISSING
                return False
            self.before_write()
            self.client.create_label(self.repository, label)
            self.after_write()
            outcome.created.append(label)
        elif number in earlier:
            # Pending still, or a person has answered: asking again would be chatter.
            outcome.kept[dimension.name] = PROPOSED_BEFORE
            return False
        return True

    def _take_back(self, names: set[str], live: Sequence[str], after: Sequence[str]) -> None:
        """If suggestions were switched off just now, GitHub took the proposals for labels."""
        before = {name.casefold() for name in live}
        for name in after:
            if name in names and name.casefold() not in before:
                log.warning("suggestion.became_label", repository=self.repository)
                self.before_write()
                self.client.remove_label(self.repository, self.number, name)
                self.after_write()


def _proposal(dimension: Dimension, label: Label, chances: Chances) -> Proposal:
    chance = chances.get(dimension.name, {}).get(label.name, 0.0)
    sure = Confidence.HIGH if chance >= _HIGH else Confidence.MEDIUM
    return Proposal(
        name=label.github,
        rationale=f"{named(dimension.called)} {named(label.name)}: {chance:.0%} sure."
        f" {sentence(label.description)}",
        confidence=sure if chance >= _MEDIUM else Confidence.LOW,
    )
