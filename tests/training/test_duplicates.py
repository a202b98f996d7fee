from __future__ import annotations

import random

from tests.training.rows import WORDS, distinct, example
from training.duplicates import clusters, deduplicate, near_pairs, shingles, similarity
from training.example import Answer, Provenance


def answer(label: str, provenance: Provenance) -> Answer:
    return Answer(label=label, provenance=provenance)


def test_exact_copies_are_found_whatever_case_space_and_hidden_comments() -> None:
    rows = [
        example("1", title="The Game  crashes", body="At once"),
        example("2", title="the game crashes", body="at <!-- hidden --> once"),
        example("3", title="the game crashes", body="at times"),
    ]
    kept, merged = deduplicate(rows)
    assert [e.id for e in kept] == ["1", "3"]
    assert [(m.id, m.kept) for m in merged] == [("2", "1")]


def test_the_most_trusted_label_of_copies_wins() -> None:
    rows = [
        example("1", title="t", labels={"severity": answer("low", Provenance.KEYWORD)}),
        example("2", title="t", labels={"severity": answer("high", Provenance.HUMAN)}),
        example("3", title="t", labels={"severity": answer("critical", Provenance.CORRECTED)}),
    ]
    kept, _ = deduplicate(rows)
    assert kept[0].label("severity") == "critical"
    assert kept[0].labels["severity"].provenance is Provenance.CORRECTED


def test_copies_that_contradict_each_other_leave_the_dimension_open() -> None:
    rows = [
        example("1", title="t", labels={"severity": "low", "kind": "bug"}),
        example("2", title="t", labels={"severity": "high", "kind": "bug"}),
    ]
    kept, merged = deduplicate(rows)
    assert kept[0].label("severity") is None
    assert kept[0].label("kind") == "bug"
    assert merged[0].disputed == ("severity",)


def test_crash_reports_that_differ_in_ids_times_and_links_are_near_duplicates() -> None:
    def report(number: int) -> str:
        return (
            f"New error: fingerprint {number:032x} https://crash.example/{number * 77:x} "
            f"occurred {number} times since 12:0{number}:53. Application game.exe on Windows, the "
            "main thread stopped with an access violation while the map was drawn."
        )

    rows = [example(str(n), title="game.exe crash", body=report(n)) for n in range(1, 6)]
    assert len(set(clusters([*distinct(5), *rows]))) == 6


def test_reports_that_share_a_template_only_are_no_near_duplicates() -> None:
    rows = distinct(40)
    assert not list(near_pairs(rows))


def test_every_planted_pair_is_found_with_its_exact_similarity() -> None:
    chance = random.Random(7)
    words = [f"{a}{b}" for a in WORDS for b in WORDS]
    rows = []
    for pair in range(60):
        text = chance.choices(words, k=80)
        changed = list(text)
        changed[chance.randrange(80)] = "changed"
        rows += [
            example(f"{pair}a", title="one", body=" ".join(text)),
            example(f"{pair}b", title="one", body=" ".join(changed)),
        ]
    found = {(one, other): alike for one, other, alike in near_pairs(rows)}
    assert set(found) == {(2 * pair, 2 * pair + 1) for pair in range(60)}
    one, other = rows[0], rows[1]
    assert found[0, 1] == similarity(shingles(one), shingles(other))
