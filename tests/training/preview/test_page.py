from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from deploy.sandbox.demo.screenshot import QUIET
from tests.deploy.test_pages import CHROMIUM
from tests.training.preview.history import reports, subject
from training.preview import measure, page, reading
from training.preview import report as completing
from training.preview.figures import Preview


@pytest.fixture(scope="module")
def found() -> Preview:
    examples = reports(120)
    last = examples[-1]
    examples[-1] = last.model_copy(update={"title": "</script><b>bold</b> & co"})
    made = subject(examples)
    return completing.complete(measure.measure(made, reading.words_only), made)


def test_the_page_loads_nothing_and_may_not(found: Preview) -> None:
    html = page.render(found)
    assert "default-src 'none'" in html
    assert re.findall(r'(?:src|href)="(?!https://github\.com/a/b/issues/\d+")[^"]*"', html) == []
    assert "@import" not in html
    assert "url(" not in html


def test_titles_are_text_and_bodies_are_absent(found: Preview) -> None:
    html = page.render(found)
    assert "&lt;/script&gt;&lt;b&gt;bold&lt;/b&gt; &amp; co" in html
    assert "<b>bold</b>" not in html
    assert html.count("</script>") == 2
    body = reports(120)[-1].body.split()
    assert " ".join(body[:6]) not in html


def test_every_share_stands_beside_its_baseline_and_size(found: Preview) -> None:
    html = page.render(found)
    for d in found.dimensions:
        assert d.majority_accuracy is not None
        assert f"Always “{d.majority}”: {page.percent(d.majority_accuracy.value)}" in html
    assert html.count("Its likeliest answer, whatever the threshold") == len(found.dimensions)


def test_a_private_repository_is_marked(found: Preview) -> None:
    assert "This repository is private" not in page.render(found)
    private = found.model_copy(update={"private": True})
    assert "This repository is private" in page.render(private)


def test_where_there_is_too_little_the_page_says_what_is_missing_and_no_figure() -> None:
    for count in (0, 12):
        made = subject(reports(count))
        told = completing.complete(measure.measure(made, reading.words_only), made)
        html = page.render(told)
        assert "There is too little here to say anything" in html
        assert told.lacking[0] in html
        assert "How often right" not in html


def test_the_sliders_reckon_what_the_tables_say(found: Preview, tmp_path: Path) -> None:
    file = tmp_path / "preview.html"
    file.write_text(page.render(found), encoding="utf-8")
    component = next(d for d in found.dimensions if d.name == "component")
    place = [d.name for d in found.dimensions].index("component")
    (half,) = [p for p in component.points if p.threshold == 0.5]
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        opened = browser.new_page()
        opened.on("request", lambda r: asked.append(r.url))
        opened.on("pageerror", lambda error: pytest.fail(str(error)))
        opened.goto(file.as_uri())
        box = opened.locator(f"#slide-{place}")
        before = box.locator(".sum").inner_text()
        assert component.proposed is not None
        assert f"{component.proposed.right} of {component.proposed.written} right" in before
        box.get_by_role("checkbox").uncheck()
        box.get_by_role("slider").fill("50")
        assert f"{half.right} of {half.written} right" in box.locator(".sum").inner_text()
        browser.close()
    assert asked == [file.as_uri()]
