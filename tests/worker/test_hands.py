"""Ours is only what there is evidence for; everything else is a person's word."""

from datetime import UTC, datetime

from app.db.tables import LabelEvent
from app.github.models import Identity, IssueEvent
from worker import hands

US = Identity(id=7, slug="triora", bot_id=70)
WHEN = datetime(2026, 11, 1, tzinfo=UTC)
HIGH = "severity: high"


def event(kind, label, *, actor=5, app=None, type="User"):
    return IssueEvent.model_validate(
        {
            "id": 1,
            "event": kind,
            "actor": {"id": actor, "login": "x", "type": type} if actor else None,
            "label": {"name": label},
            "performed_via_github_app": {"id": app} if app else None,
            "created_at": WHEN,
        }
    )


def ours(kind, label):
    return event(kind, label, actor=70, app=7, type="Bot")


def heard(label, *, added=True, actor=5, type="User"):
    return LabelEvent(label=label, added=added, actor_id=actor, actor="x", actor_type=type)


def read(live=(), events=(), webhooks=(), noted=(), us=US):
    return hands.read(live, events, webhooks, noted, us)


def test_nothing_happened():
    assert read() == hands.Hands()


def test_a_label_we_put_there_is_ours():
    assert read([HIGH], [ours("labeled", HIGH)]) == hands.Hands()


def test_a_label_without_any_event_is_a_persons():
    assert read(["Severity: High"]).set == {HIGH}


def test_an_event_of_our_bot_user_without_its_app_is_ours():
    assert read([HIGH], [event("labeled", HIGH, actor=70, type="Bot")]).set == set()


def test_a_person_acting_through_our_app_is_us_but_through_another_app_is_not():
    assert read([HIGH], [event("labeled", HIGH, actor=5, app=7)]).set == set()
    assert read([HIGH], [event("labeled", HIGH, actor=5, app=8)]).set == {HIGH}


def test_a_bot_with_our_name_and_another_number_is_not_us():
    assert read([HIGH], [event("labeled", HIGH, actor=71, type="Bot")]).set == {HIGH}


def test_a_label_of_a_deleted_account_is_a_persons():
    assert read([HIGH], [event("labeled", HIGH, actor=None)]).set == {HIGH}


def test_what_a_person_removed_is_known_in_whatever_order_it_is_told():
    events = [ours("labeled", HIGH), event("unlabeled", HIGH)]
    for told in (events, events[::-1]):
        assert read([], told).removed == {HIGH}


def test_what_we_removed_ourselves_is_nobodys_word():
    assert read([], [ours("labeled", HIGH), ours("unlabeled", HIGH)]) == hands.Hands()


def test_a_person_who_set_our_label_again_made_it_theirs():
    events = [ours("labeled", HIGH), event("unlabeled", HIGH), event("labeled", HIGH)]
    assert read([HIGH], events).set == {HIGH}


def test_a_webhook_may_be_ahead_of_githubs_list():
    told = read([], [ours("labeled", HIGH)], [heard(HIGH, added=False)])
    assert told.removed == {HIGH}
    assert read([HIGH], [ours("labeled", HIGH)], [heard(HIGH, actor=70, type="Bot")]).set == set()


def test_a_label_we_noted_before_writing_is_ours_though_no_event_tells_yet():
    assert read([HIGH], noted=[HIGH]).set == set()


def test_a_note_does_not_outweigh_a_persons_event():
    assert read([HIGH], [event("labeled", HIGH)], noted=[HIGH]).set == {HIGH}


def test_webhooks_of_bots_say_nothing_while_we_do_not_know_our_number():
    unsure = Identity(id=7)
    told = read([HIGH], [ours("labeled", HIGH)], [heard(HIGH, actor=70, type="Bot")], us=unsure)
    assert told.set == set()
