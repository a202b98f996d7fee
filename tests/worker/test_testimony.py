"""GitHub's list and the webhooks tell of the same acts: each counts once, however they come."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.aliases import Aliases
from app.core.corrections import Hand, Kind, derive
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db.tables import LabelEvent
from app.db.words import Word
from app.github.models import Identity, IssueEvent
from worker.testimony import Filing, hear

US = Identity(id=7, slug="triora", bot_id=70)
T0 = datetime(2026, 11, 1, 12, tzinfo=UTC)
HIGH, LOW, UI = "severity: high", "severity: low", "component: ui"
FILED = Filing("rita", T0 - timedelta(hours=1))


def listed(number, kind, label="", *, actor=5, login="tom", app=None, second=None, type="User"):
    return IssueEvent.model_validate(
        {
            "id": number,
            "event": kind,
            "actor": {"id": actor, "login": login, "type": type},
            "label": {"name": label} if label else None,
            "performed_via_github_app": {"id": app} if app else None,
            "created_at": T0 + timedelta(seconds=number if second is None else second),
        }
    )


def heard(event, guid, *, nameless=False, late=0):
    return LabelEvent(
        guid=guid,
        label="" if nameless else event.label.name,
        added=event.event == "labeled",
        actor_id=event.actor.id,
        actor=event.actor.login,
        actor_type=event.actor.type,
        happened_at=event.created_at + timedelta(seconds=late),
    )


def told(events, webhooks=(), said=(), canonical=str):
    return hear(events, webhooks, said, US, FILED, canonical)


def word(testimony):
    """What people said, if everybody whose rights would be asked has them."""
    acts = [it.by(Hand.PERSON) if it.unsure else it.act for it in testimony.acts]
    return derive(DEFAULT_TAXONOMY, acts)


def test_a_removal_by_which_github_deleted_a_label_is_nobodys_act():
    events = [
        listed(1, "labeled", HIGH, actor=70, login="triora[bot]", app=7, type="Bot"),
        listed(2, "unlabeled", HIGH, actor=9, login="mara"),
        listed(3, "unlabeled", LOW, actor=5),
    ]
    webhooks = [heard(events[1], "strip", nameless=True), heard(events[2], "by hand")]
    kinds = [(it.act.label, it.act.kind) for it in told(events, webhooks).acts]
    assert kinds == [(HIGH, Kind.LABELED), (LOW, Kind.UNLABELED)]


def test_what_a_command_said_comes_before_what_we_did_of_it_in_the_same_second():
    ours = {"actor": 70, "login": "triora[bot]", "app": 7, "type": "Bot"}
    events = [listed(1, "labeled", HIGH, **ours), listed(2, "labeled", LOW, second=30, **ours)]
    said = [Word(LOW, True, 5, "tom", T0 + timedelta(seconds=30))]
    (found,) = word(told(events, said=said))
    assert (found.labels, found.predicted, found.actor) == (("low",), ("high",), "tom")


def test_old_and_new_names_of_a_label_are_one_label():
    aliases = Aliases.of([(4, LOW), (4, "P3")])
    events = [listed(1, "labeled", "P3"), listed(2, "unlabeled", LOW), listed(3, "labeled", "p3")]
    seen = told(events, canonical=lambda name: aliases.canonical(name, DEFAULT_TAXONOMY))
    assert [it.act.label for it in seen.acts] == [LOW, LOW, LOW]
    assert word(seen)[0].labels == ("low",)


def test_a_name_that_two_of_our_labels_had_is_followed_to_neither():
    aliases = Aliases.of([(4, LOW), (4, "P"), (5, HIGH), (5, "P")])
    assert aliases.canonical("P", DEFAULT_TAXONOMY) == "P"
    assert aliases.canonical(LOW, DEFAULT_TAXONOMY) == LOW


@st.composite
def issues(draw):
    """Events a second apart or more, as GitHub lists them."""
    done = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["labeled", "unlabeled"]),
                st.sampled_from([HIGH, LOW, UI]),
                st.sampled_from([(5, "tom"), (6, "mara")]),
            ),
            max_size=8,
        )
    )
    return [
        listed(n, kind, label, actor=actor, login=login, second=n * 2)
        for n, (kind, label, (actor, login)) in enumerate(done, 1)
    ]


@settings(max_examples=60, deadline=None)
@given(issues(), st.data())
def test_webhooks_in_any_order_add_nothing_to_a_complete_list(events, data):
    webhooks = [heard(e, f"g{e.id}", late=data.draw(st.integers(0, 1))) for e in events]
    arrived = data.draw(st.permutations(webhooks))[: data.draw(st.integers(0, len(webhooks)))]
    seen = told(data.draw(st.permutations(events)), arrived)
    assert not seen.early
    assert len(seen.acts) == len(events)
    assert word(seen) == word(told(events))


@settings(max_examples=60, deadline=None)
@given(issues(), st.data())
def test_webhooks_make_up_for_a_list_that_is_late(events, data):
    webhooks = data.draw(st.permutations([heard(e, f"g{e.id}") for e in events]))
    known = data.draw(st.integers(0, len(events)))
    seen = told(events[:known], webhooks)
    assert seen.early == (known < len(events))
    assert word(seen) == word(told(events))
