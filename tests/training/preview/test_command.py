"""`triora preview` over HTTP against the stand-in, which any reader with a token could do."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import BadRequest, ConfigProblem
from app.github.history import History
from deploy.sandbox.sandbox import Sandbox
from tests.training.preview import world
from tests.training.preview.history import NOISE, TELLING, reports
from training import dataset
from training.collect import Clock
from training.commands.preview import preview
from training.preview.gathering import Gathered, from_file, from_github


def tales(count: int) -> list[dict[str, object]]:
    """Reports whose words tell severity and component."""
    chance = random.Random(3)
    answers = {
        "critical": "crash",
        "low": "low priority",
        "ui": "topic:gui",
        "audio": "topic:audio",
    }
    found = []
    for _ in range(count):
        severity, component = chance.choice(["critical", "low"]), chance.choice(["ui", "audio"])
        words = chance.sample(NOISE, 12)
        for answer in (severity, component):
            words += chance.sample(TELLING[answers[answer]].split(), 4)
        found.append(
            {
                "title": " ".join(words[:4]),
                "body": " ".join(words[4:]),
                "labels": {"kind": "bug", "severity": severity, "component": component},
            }
        )
    return found


def gather(
    github: Sandbox,
    repository: str,
    folder: Path,
    *,
    by: str = "rita",
    days: int = 1,
    **options: object,
) -> Gathered:
    def source() -> History:
        return History.with_token(github.token_of(by), github.api_url)

    wanted: dict[str, object] = {"limit": 50, "fresh": False, "web": github.api_url, **options}
    clock = Clock(now=lambda: datetime.now(UTC) + timedelta(days=days), sleep=lambda _: None)
    return from_github(source, repository, folder, clock=clock, **wanted)  # type: ignore[arg-type]


def run(
    github: Sandbox, folder: Path, *arguments: str, token: str = "rita"
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "READER": github.token_of(token),
        "TRIORA_GITHUB_API_URL": github.api_url,
        "TRIORA_DATA_DIR": str(folder / "data"),
    }
    environment.pop("GITHUB_TOKEN", None)
    return subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", "preview", *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def test_a_reader_gets_a_page_and_figures_and_github_gets_no_write(
    github: Sandbox,
    repository: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world.seed(github, repository, tales(64))  # type: ignore[arg-type]
    before = len(github.requests())
    ended = run(
        github, tmp_path, repository, "--token-env", "READER", "--no-model", "--json",
        "--save-mapping", "mapping.toml",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)
    assert figures["issues"] == 64
    assert figures["newest"] == 16
    assert {d["name"] for d in figures["dimensions"]} >= {"severity", "component"}
    by_name = {m["name"]: m for m in figures["meanings"]}
    assert by_name["crash"]["answers"]["severity"] == "critical"
    assert by_name["needs testing"]["role"] == "process"
    assert by_name["needs testing"]["description"] == "Somebody has to try it"
    html = (tmp_path / "preview.html").read_text(encoding="utf-8")
    assert f"{github.url}/{repository}/issues/64" in html
    asked = github.requests()[before:]
    assert {line["method"] for line in asked} <= {"GET", "POST"}
    assert {line["route"] for line in asked if line["method"] == "POST"} <= {"/graphql"}

    # The saved mapping, changed by a person, is what the next run goes by; nothing is read twice.
    text = (tmp_path / "mapping.toml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith('"crash"')]
    (tmp_path / "mapping.toml").write_text("\n".join(lines), encoding="utf-8")
    capsys.readouterr()
    here(github, tmp_path, monkeypatch, repository, mapping=tmp_path / "mapping.toml", json=True)
    again = json.loads(capsys.readouterr().out)
    severity = next(d for d in again["dimensions"] if d["name"] == "severity")
    assert "older issues carry an answer; 30 are needed" in severity["lacking"]
    timelines = [x for x in github.requests() if x["route"].endswith("/timeline")]
    assert len(timelines) == 64


def here(
    github: Sandbox,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    repository: str,
    token_env: str = "READER",
    **options: Any,
) -> None:
    """The command in this process, which has imported everything already."""
    monkeypatch.setenv("READER", github.token_of("rita"))
    monkeypatch.setenv("TRIORA_GITHUB_API_URL", github.api_url)
    monkeypatch.setenv("TRIORA_DATA_DIR", str(folder / "data"))
    wanted = {"out": folder / "preview.html", "no_model": True, **options}
    preview(repository, token_env, **wanted)


def test_mistakes_are_told_and_no_page_is_written(
    github: Sandbox, repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(
        f'repositories = ["{repository}"]\n[labels]\ncrsh = {{ severity = "critical" }}\n'
    )
    github.open_issue("one", repository=repository)
    github.label(1, "crash", repository=repository)
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    with pytest.raises(ConfigProblem, match="GITHUB_TOKEN is not set: put a token there"):
        here(github, tmp_path, monkeypatch, repository, "GITHUB_TOKEN")
    with pytest.raises(ConfigProblem, match=r"is it 'crash'\?"):
        here(github, tmp_path, monkeypatch, repository, mapping=wrong)
    with pytest.raises(ConfigProblem, match="cannot be written"):
        here(github, tmp_path, monkeypatch, repository, out=tmp_path)
    assert not (tmp_path / "preview.html").exists()


def test_an_empty_repository_gets_a_page_that_says_so(
    github: Sandbox,
    repository: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "new" / "page.html"
    here(github, tmp_path, monkeypatch, repository, out=page)
    said = capsys.readouterr().err
    assert "too little to say anything: the repository has no issues" in said
    assert "the repository has no issues that people filed" in page.read_text(encoding="utf-8")


def test_what_was_collected_is_kept_for_its_owner_alone_and_used_again(
    github: Sandbox, repository: str, tmp_path: Path
) -> None:
    github.change_repository(repository, private=True)
    github.open_issue("first", repository=repository)
    found = gather(github, repository, tmp_path / "kept", by="mara")
    assert found.private is True
    assert found.web == f"{github.url}/{repository}"
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0
    read = "GET", "/repos/{owner}/{repo}/issues/{issue_number}/timeline"
    gather(github, repository, tmp_path / "kept", by="mara")
    assert len(github.requests(*read)) == 1
    # Asked for anew, or a day later: read again, with what was filed since.
    gather(github, repository, tmp_path / "kept", by="mara", fresh=True)
    assert len(github.requests(*read)) == 2
    github.open_issue("second", repository=repository)
    later = gather(github, repository, tmp_path / "kept", by="mara", days=3)
    assert [e.title for e in later.examples] == ["second", "first"]


def test_a_rate_limit_met_before_the_first_issue_is_waited_out(
    github: Sandbox, repository: str, tmp_path: Path
) -> None:
    github.open_issue("patience", repository=repository)
    token = github.token_of("rita")
    github.limit(exhaust_seconds=1800)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        github.clear_faults()

    found = from_github(
        lambda: History.with_token(token, github.api_url),
        repository,
        tmp_path,
        limit=5,
        fresh=False,
        web=github.api_url,
        clock=Clock(now=lambda: datetime.now(UTC) + timedelta(seconds=2), sleep=sleep),
    )
    assert [e.title for e in found.examples] == ["patience"]
    assert len(waits) == 1
    assert waits[0] > 1700


Change = Callable[[Sandbox, str], object]


@pytest.mark.parametrize(
    ("change", "by", "told"),
    [
        (lambda g, r: g.change_repository(r, private=True), "olga", "no repository .* check the"),
        (lambda g, r: g.change_repository(r, has_issues=False), "rita", "issues switched off"),
        (lambda g, r: g.change_repository(r, name="elsewhere"), "rita", "has another name now"),
    ],
    ids=["no access", "no issues", "moved"],
)
def test_what_may_not_be_read_is_one_clear_error(
    github: Sandbox, repository: str, tmp_path: Path, change: Change, by: str, told: str
) -> None:
    github.control("POST", "/people", json={"login": "olga"})
    change(github, repository)
    with pytest.raises(ConfigProblem, match=told):
        gather(github, repository, tmp_path, by=by)


def test_a_file_collected_before_needs_no_network(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    dataset.write(path, reports(5))
    found = from_file("A/B", path, "https://api.github.com")
    assert len(found.examples) == 5
    assert found.web == "https://github.com/A/B"
    assert {label.name for label in found.labels} >= {"topic:gui", "topic:audio"}
    with pytest.raises(BadRequest, match=r"no issues of c/d; it holds a/b"):
        from_file("c/d", path, "https://api.github.com")
