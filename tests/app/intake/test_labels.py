"""What happens to labels is noted, and the issues it concerns are looked at again."""

import pytest
from sqlalchemy import update

from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db import label_names
from app.db.learning import LabelName, Review
from app.db.tables import LabelEvent, Outcome, SeenLabel, State
from tests.webhooks import BOT, actor, issue_event, repository

OURS = "severity: high"


def label_event(action, name, *, was=None, number=41):
    payload = {
        "action": action,
        "label": {"id": number, "name": name, "color": "ffffff"},
        "repository": repository(),
        "installation": {"id": 5},
        "sender": actor(),
    }
    return payload | ({"changes": {"name": {"from": was}}} if was else {})


@pytest.fixture
def waiting(rows):
    """Numbers of the issues whose corrections wait to be derived."""
    return lambda: [r.issue_number for r in rows(Review) if r.state == State.PENDING]


@pytest.fixture
def all_reviewed(database):
    def finish():
        with database.transaction() as session:
            session.execute(update(Review).values(state=State.DONE))

    return finish


def test_a_person_is_heard_and_a_bot_only_after_a_person(take, waiting, all_reviewed):
    take("issues", issue_event("labeled", label=OURS, sender=BOT))
    assert waiting() == []
    take("issues", issue_event("unlabeled", label=OURS))
    take("issues", issue_event("closed"))
    assert waiting() == [1]
    all_reviewed()
    take("issues", issue_event("unlabeled", label=OURS, sender=BOT))
    assert waiting() == [1]


def test_what_waits_is_not_put_off_by_more_events(take, rows):
    take("issues", issue_event("labeled", label=OURS))
    [first] = rows(Review)
    take("issues", issue_event("unlabeled", label=OURS))
    [again] = rows(Review)
    assert again.due_at == first.due_at


def test_a_label_that_github_stripped_off_is_kept_without_its_name(take, rows, waiting):
    payload = issue_event("unlabeled")
    assert take("issues", payload).outcome == Outcome.LABEL_EVENT
    [event] = rows(LabelEvent, LabelEvent.guid)
    assert (event.label, event.added) == ("", False)


def test_a_rename_is_known_and_has_its_issues_looked_at_again(
    take, rows, waiting, all_reviewed, database
):
    take("issues", issue_event("labeled", label="P1", number=3))
    take("issues", issue_event("labeled", label="question", number=4))
    all_reviewed()
    for _ in range(2):
        renamed = take("label", label_event("edited", "P1", was=OURS))
        assert renamed.outcome == Outcome.NOTED
        assert waiting() == [3]
    assert {row.name for row in rows(LabelName, LabelName.name)} == {OURS, "P1"}
    assert {row.name for row in rows(SeenLabel, SeenLabel.name)} == {OURS, "p1"}
    with database.reading() as session:
        aliases = label_names.aliases(session, 11)
    assert aliases.canonical("p1", DEFAULT_TAXONOMY) == OURS


def test_edits_keep_off_where_a_person_used_a_renamed_label(take):
    take("issues", issue_event(title="old"))
    take("issues", issue_event("labeled", label="P1"))
    take("label", label_event("edited", "P1", was=OURS))
    edited = take("issues", issue_event("edited", title="new", at="2026-11-01T12:05:00Z"))
    assert "person" in edited.reason


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        (label_event("deleted", "wontfix"), Outcome.NOTED),
        (label_event("edited", "wontfix"), Outcome.IGNORED),
        (label_event("edited", "Wontfix", was="wontfix"), Outcome.IGNORED),
        (label_event("created", "wontfix"), Outcome.IGNORED),
        (label_event("edited", "wontfix") | {"changes": {"name": "odd"}}, Outcome.IGNORED),
        ({"action": "deleted", "installation": {"id": 5}}, Outcome.IGNORED),
    ],
)
def test_other_changes_of_labels_concern_no_issue(take, rows, payload, outcome):
    take("issues", issue_event("labeled", label="wontfix"))
    before = len(rows(Review))
    assert take("label", payload).outcome == outcome
    assert len(rows(Review)) == before
    assert rows(LabelName, LabelName.name) == []
