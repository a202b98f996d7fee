"""What is written is a difference: only what is missing, never what a person decided."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.decision import NO_HANDS, Hands
from app.core.taxonomy import DEFAULT_TAXONOMY
from worker.plan import DELETED, UNKNOWN, plan

WANTED = {"severity": ["severity: high"], "component": ["component: ui"]}
NAMES = [x.github for d in DEFAULT_TAXONOMY.dimensions for x in d.labels]


def made(wanted=WANTED, live=(), hands=NO_HANDS):
    return plan(DEFAULT_TAXONOMY, wanted, live, hands)


def added(todo):
    return [label.github for label in todo.add]


def test_what_is_missing_is_added():
    todo = made()
    assert added(todo) == ["severity: high", "component: ui"]
    assert todo.remove == ()
    assert todo.kept == {}


def test_what_is_there_is_not_added_again_whatever_its_case():
    assert added(made(live=["Severity: HIGH"])) == ["component: ui"]


def test_labels_of_others_are_not_our_business():
    todo = made(live=["good first issue", "kind: bug"])
    assert todo.remove == ()


def test_a_dimension_a_person_touched_is_left_alone():
    for hands in (
        Hands(set=frozenset({"severity: low"})),
        Hands(removed=frozenset({"severity: high"})),
        Hands(removed=frozenset({"severity: critical"})),
    ):
        todo = made(live=["severity: low"], hands=hands)
        assert added(todo) == ["component: ui"]
        assert todo.remove == ()
        assert todo.kept == {"severity": "a person decided"}


def test_an_exclusive_dimension_loses_our_earlier_label():
    todo = made(live=["severity: low", "component: audio"])
    assert todo.remove == ("severity: low",)
    assert added(todo) == ["severity: high", "component: ui"]


def test_a_label_deleted_from_the_repository_is_not_brought_back():
    todo = made(live=["severity: low"]).less(DEFAULT_TAXONOMY, {"Severity: high"})
    assert added(todo) == ["component: ui"]
    assert todo.remove == ()
    assert todo.kept == {"severity": DELETED}


def test_a_deleted_label_that_is_not_needed_changes_nothing():
    todo = made(live=["severity: high"]).less(DEFAULT_TAXONOMY, {"severity: high"})
    assert todo.kept == {}


def test_a_taxonomy_that_changed_meanwhile_writes_nothing_unknown():
    todo = made({"severity": ["urgency: now"], "mood": ["mood: bad"]})
    assert todo.add == ()
    assert todo.kept == {"severity": UNKNOWN, "mood": UNKNOWN}


@given(
    wanted=st.fixed_dictionaries(
        {},
        optional={
            d.name: st.sampled_from([x.github for x in d.labels]).map(lambda name: [name])
            for d in DEFAULT_TAXONOMY.written
        },
    ),
    live=st.sets(st.sampled_from([*NAMES, "help wanted"])),
    touched=st.sets(st.sampled_from(NAMES)),
)
def test_done_twice_changes_nothing_and_touches_no_persons_label(wanted, live, touched):
    hands = Hands(set=frozenset(touched & live), removed=frozenset(touched - live))
    first = made(wanted, live, hands)
    assert not set(first.remove) & (hands.set | {"help wanted"})
    assert not set(added(first)) & hands.removed
    after = (live | set(added(first))) - set(first.remove)
    second = made(wanted, after, hands)
    assert (second.add, second.remove) == ((), ())
