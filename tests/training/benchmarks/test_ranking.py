"""Both ways show the same budget; only ranking finds what stands at the end of a long report."""

from app.core.text import IssueText
from tests.training.rows import example
from training.benchmarks import ranking

LONG = IssueText(
    title="It broke",
    body="\n".join([*(f"Line {n} tells how my day was before." for n in range(40)), "Error: bang"]),
)


def encode(text):
    return list(range(len(text.split(" ")))) if text else []


def test_ranking_shows_the_error_that_cutting_loses():
    words = LONG.body.split()

    def decode(ids):
        return f"{LONG.title}\n" + " ".join(words[: len(ids) - 2])

    assert "bang" in ranking.ranked(LONG, 30, encode).body
    assert "bang" not in ranking.cut(LONG, 30, encode, decode).body
    assert ranking.ranked(LONG, 30, encode).title == LONG.title


def test_answers_are_paired_report_by_report():
    labels = {"severity": "high", "component": "ui"}
    reports = [example(f"a#{n}", labels=labels) for n in range(1, 4)]
    right, half = labels, {**labels, "component": "audio"}

    gain = ranking.compare(reports, 64, [right, right, half], [half, right, right])

    assert (gain.reports, gain.answers) == (3, 6)
    assert (gain.only_ranked, gain.only_cut, gain.p) == (1, 1, 1.0)
    assert gain.ranked == gain.cut == 5 / 6
