from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.training.rows import distinct, example
from training.bench import baseline_runs, judged
from training.comparison import compare
from training.evaluation import evaluate
from training.keywords import agreements
from training.predictions import Run, TrainingFacts, predictions_of
from training.report import comparison_page, evaluation_page

HOSTILE = '<script>alert("x")</script>'
VOID = {"meta", "br", "img", "link", "use", "path", "input", "hr"}


class Page(HTMLParser):
    """Checks nesting, gathers addresses and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in {"src", "href", "xlink:href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def pages() -> tuple[str, str]:
    rows = [
        e.model_copy(
            update={
                "title": f"{HOSTILE} {e.title}",
                "repository": "a/b" if i % 2 else "c/d",
                "labels": example(
                    labels={
                        "kind": "bug" if i % 3 else "feature",
                        "severity": DEFAULT_TAXONOMY["severity"].names[i % 4],
                        "component": DEFAULT_TAXONOMY["component"].names[i % 7],
                        "reproducibility": "always" if i % 5 else "rare",
                    }
                ).labels,
            }
        )
        for i, e in enumerate(distinct(40))
    ]
    saved = baseline_runs(rows, rows[:20], DEFAULT_TAXONOMY)
    evaluations, comparison = judged(saved, resamples=100)
    first = evaluation_page(evaluations[0], comparison, evaluations[1:], agreements(rows))
    guess = {d.name: {n: 1 / len(d.names) for n in d.names} for d in DEFAULT_TAXONOMY.dimensions}
    curve = []
    for size in (10, 20, 40):
        run = Run.of(
            f"model {size}",
            "smollm2-135m",
            rows,
            DEFAULT_TAXONOMY,
            training=TrainingFacts.of(rows[:size]),
            settings={"rank": 8},
        )
        curve.append((run, predictions_of(rows, [guess] * 40, DEFAULT_TAXONOMY)))
    second = comparison_page(
        compare([*saved, *curve], resamples=100), [evaluate(*one, 100) for one in curve]
    )
    return first, second


def test_a_report_is_one_well_formed_page_that_needs_nothing_else(pages: tuple[str, str]) -> None:
    for page in pages:
        parsed = Page(page)
        assert parsed.tags.count("svg") >= 1
        assert {"script", "link", "img"}.isdisjoint(parsed.tags)
        assert all(address.startswith("#") for address in parsed.addresses)
        assert "url(http" not in page
        assert "@import" not in page


def test_a_title_cannot_bring_markup_into_a_report(pages: tuple[str, str]) -> None:
    assert HOSTILE not in pages[0]
    assert "&lt;script&gt;" in pages[0]


def test_a_report_shows_baselines_intervals_sizes_tests_and_mistakes(
    pages: tuple[str, str],
) -> None:
    text = re.sub(r"<[^>]+>", " ", pages[0])
    for said in (
        "keyword rules",
        "majority class",
        "TF-IDF + logistic regression",
        "Bug reports (26)",
        "All reports (40)",
        "McNemar",
        "paired bootstrap",
        "near-duplicate in the training data",
        "severity: crash",
        "The most confident mistakes",
        "answers outside the taxonomy",
    ):
        assert said in text, said
    assert re.search(r"\d+\.\d\s+\d+\.\d to \d+\.\d", text)


def test_figures_take_the_colour_of_the_page_in_light_and_dark(pages: tuple[str, str]) -> None:
    for page in pages:
        drawn = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
        assert "currentColor" in drawn
        assert "#000000" not in drawn
        assert "#ffffff" not in drawn
        assert "prefers-color-scheme: dark" in page


def test_ids_of_several_figures_do_not_collide(pages: tuple[str, str]) -> None:
    for page in pages:
        ids = re.findall(r'\bid="([^"]+)"', page)
        per_figure = [
            set(re.findall(r'\bid="([^"]+)"', svg))
            for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)
        ]
        for i, one in enumerate(per_figure):
            for other in per_figure[i + 1 :]:
                # Equal marks of one kind of figure may repeat: they are equal in content.
                assert all(name.startswith(("coverage-", "reliability-")) for name in one & other)
        assert ids


def test_runs_of_several_sizes_make_a_learning_curve(pages: tuple[str, str]) -> None:
    assert "Learning curve" in pages[1]
    assert "rank 8" in pages[1]
    assert "Learning curve" not in pages[0]
