"""The word people have on an issue does not depend on the order in which we are told of it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.corrections import AMBIGUOUS, Act, Change, Hand, Kind, Place, derive
from app.core.taxonomy import DEFAULT_TAXONOMY

T0 = datetime(2026, 11, 1, 12, tzinfo=UTC)
HIGH, LOW = "severity: high", "severity: low"
UI, AUDIO = "component: ui", "component: audio"
OURS, PERSON, OTHER = Hand.OURS, Hand.PERSON, Hand.OTHER


def act(second, kind, hand, label="", *, judged=True, actor=1):
    return Act(
        place=Place(T0 + timedelta(seconds=second), number=second),
        kind=kind,
        hand=hand,
        label=label,
        judged=judged and kind is Kind.CLOSED,
        actor_id=actor,
        actor=f"person {actor}",
    )


def story(*told):
    """Acts a second apart: "+ours severity: high", "-person …", "closed person", …"""
    kinds = {"+": Kind.LABELED, "-": Kind.UNLABELED}
    acts = []
    for second, line in enumerate(told):
        who, _, label = line.partition(" ")
        if who in ("closed", "reopened"):
            acts.append(act(second, Kind(who), Hand(label)))
        else:
            acts.append(act(second, kinds[who[0]], Hand(who[1:]), label))
    return acts


def word(*told, noted=()):
    return {
        f.dimension: (f.change, f.labels) for f in derive(DEFAULT_TAXONOMY, story(*told), noted)
    }


def test_nobody_spoke():
    assert word() == {}
    assert word(f"+ours {HIGH}", f"+other {LOW}") == {}


def test_the_last_word_counts():
    told = word(f"+ours {HIGH}", f"-person {HIGH}", f"+person {LOW}", f"-person {LOW}")
    assert told == {"severity": (Change.REMOVED, ())}


def test_of_an_exclusive_dimension_a_persons_label_replaces_ours_beside_it():
    assert word(f"+ours {HIGH}", f"+person {LOW}") == {"severity": (Change.REPLACED, ("low",))}


def test_two_labels_of_an_exclusive_dimension_stay_two():
    told = word(f"+person {HIGH}", f"+person {LOW}")
    assert told == {"severity": (Change.ADDED, ("high", "low"))}


def test_who_puts_our_label_back_confirms_it():
    told = word(f"+ours {HIGH}", f"-person {HIGH}", f"+person {HIGH}")
    assert told == {"severity": (Change.CONFIRMED, ("high",))}


def test_a_person_who_takes_back_their_own_label_said_nothing():
    assert word(f"+person {LOW}", f"-person {LOW}") == {}


def test_what_a_bot_takes_off_again_is_not_learnt():
    assert word(f"+person {LOW}", f"-other {LOW}") == {}
    assert word(f"+ours {HIGH}", f"-other {HIGH}", "closed person") == {}


def test_another_programs_label_left_standing_makes_a_removal_unclear():
    acts = story(f"+ours {HIGH}", f"+other {LOW}", f"-person {HIGH}")
    (found,) = derive(DEFAULT_TAXONOMY, acts)
    assert (found.change, found.labels, found.doubt) == (Change.REMOVED, (), AMBIGUOUS)


def test_writes_of_ours_after_a_person_spoke_are_no_prediction():
    # A command: the person's word, then our own hand that carries it out.
    acts = story(f"+ours {HIGH}", f"+person {LOW}", f"+ours {LOW}", f"-ours {HIGH}")
    (found,) = derive(DEFAULT_TAXONOMY, acts)
    assert (found.change, found.labels, found.predicted) == (Change.REPLACED, ("low",), ("high",))


def test_a_write_that_github_does_not_name_us_for_is_known_by_our_own_note():
    acts = story(f"+other {HIGH}", f"-person {HIGH}")
    (found,) = derive(DEFAULT_TAXONOMY, acts, [HIGH])
    assert (found.change, found.predicted) == (Change.REMOVED, ("high",))


# Closing


def test_who_closes_an_issue_with_our_labels_confirms_those_nobody_spoke_of():
    told = word(f"+ours {HIGH}", f"+ours {UI}", f"+person {AUDIO}", "closed person")
    assert told["severity"] == (Change.CONFIRMED, ("high",))
    assert told["component"] == (Change.ADDED, ("ui", "audio"))


def test_a_closing_confirms_nothing_by_a_bot_after_a_reopening_or_before_our_label():
    assert word(f"+ours {HIGH}", "closed other") == {}
    assert word(f"+ours {HIGH}", "closed person", "reopened other") == {}
    assert word("closed person", f"+ours {HIGH}") == {}


def test_a_closing_as_duplicate_or_not_planned_confirms_nothing():
    acts = [act(0, Kind.LABELED, OURS, HIGH), act(1, Kind.CLOSED, PERSON, judged=False)]
    assert derive(DEFAULT_TAXONOMY, acts) == []


# Any history

LABELS = st.sampled_from([HIGH, LOW, UI, AUDIO, "question"])
LABELLING = st.tuples(
    st.sampled_from([Kind.LABELED, Kind.UNLABELED]), st.sampled_from(list(Hand)), LABELS
)
STATE = st.tuples(
    st.sampled_from([Kind.CLOSED, Kind.REOPENED]), st.sampled_from([PERSON, OTHER]), st.just("")
)


@st.composite
def histories(draw):
    done = draw(st.lists(st.one_of(LABELLING, STATE), max_size=12))
    seconds = draw(st.lists(st.integers(0, 5), min_size=len(done), max_size=len(done)))
    return [
        Act(Place(T0 + timedelta(seconds=at), number=n), kind, hand, label, kind is Kind.CLOSED, n)
        for n, (at, (kind, hand, label)) in enumerate(zip(seconds, done, strict=True))
    ]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_order_and_any_repetition_of_the_same_acts_ends_alike(data):
    acts = data.draw(histories())
    shuffled = data.draw(st.permutations(acts))
    assert derive(DEFAULT_TAXONOMY, shuffled) == derive(DEFAULT_TAXONOMY, acts)


@settings(max_examples=60, deadline=None)
@given(histories())
def test_only_people_are_quoted_and_only_about_labels_of_the_dimension(acts):
    spoke = {a.actor_id for a in acts if a.hand is PERSON}
    for found in derive(DEFAULT_TAXONOMY, acts):
        assert found.actor_id in spoke
        assert set(found.labels) | set(found.predicted) <= set(
            DEFAULT_TAXONOMY[found.dimension].names
        )
        assert found.labels or found.predicted


@settings(max_examples=60, deadline=None)
@given(histories())
def test_what_others_did_to_a_dimension_alone_teaches_nothing(acts):
    silent = [a for a in acts if a.hand is not PERSON]
    assert derive(DEFAULT_TAXONOMY, silent) == []


@settings(max_examples=60, deadline=None)
@given(histories())
def test_a_confirmation_agrees_with_the_bot_and_nothing_else_does(acts):
    for found in derive(DEFAULT_TAXONOMY, acts):
        assert (found.change is Change.CONFIRMED) == (found.labels == found.predicted)
