"""The command runs as a user runs it: a process of its own, a small model in a folder."""

from __future__ import annotations

import codecs
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from app.core.text import IssueText
from tests.worker.model.conftest import saved_mistral
from worker.classify import CHUNK, Scoring, stream

TRIORA = str(Path(sys.executable).with_name("triora"))


class Counting:
    """Stands for the model where only the reading of rows is tested."""

    version = "none"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def score(
        self, texts: Sequence[IssueText], taxonomy: Taxonomy
    ) -> list[dict[str, dict[str, float]]]:
        self.asked.append(len(texts))
        even = {d.name: dict.fromkeys(d.names, 1 / len(d.names)) for d in taxonomy.dimensions}
        return [even for _ in texts]


def row(**fields: object) -> bytes:
    return json.dumps({"title": "Crash", "body": "On start."} | fields).encode() + b"\n"


def read(*lines: bytes) -> tuple[list[dict[str, object]], str, int, Counting]:
    out, err, scorer = io.StringIO(), io.StringIO(), Counting()
    refused = stream(lines, Scoring(scorer), out=out, err=err)  # type: ignore[arg-type]
    return (
        [json.loads(line) for line in out.getvalue().splitlines()],
        err.getvalue(),
        refused,
        scorer,
    )


def test_answers_keep_the_order_and_ids_of_the_rows() -> None:
    ids = ["b", 7, "a", None]
    answers, _, refused, _ = read(*(row(id=i) for i in ids))
    assert [answer["id"] for answer in answers] == ids
    assert refused == 0


def test_a_malformed_row_is_named_by_line_and_the_others_are_scored() -> None:
    answers, err, refused, _ = read(
        row(id=1),
        b"{not json\n",
        b"\n",
        b'["a list"]\n',
        row(id=5, title=None),
        b"\xff\n",
        row(id=7),
    )
    assert [answer["id"] for answer in answers] == [1, 7]
    assert refused == 4
    assert [f"line {n}:" in err for n in (1, 2, 3, 4, 5, 6, 7)] == [0, 1, 0, 1, 1, 1, 0]
    assert "4 of 6 rows" in err
    assert "title" in err


def test_a_byte_order_mark_before_the_first_row_does_no_harm() -> None:
    answers, err, _, _ = read(codecs.BOM_UTF8 + row(id=1), row(id=2))
    assert [answer["id"] for answer in answers] == [1, 2]
    assert err == ""


def test_what_is_wrong_with_a_row_is_told_in_its_own_terms() -> None:
    _, err, _, _ = read(row(id=2.5), b'{"title": x}\n')
    first, second, _ = err.splitlines()
    assert first == "triora: line 1: id has to be a string or a whole number"
    assert second.startswith("triora: line 2: Invalid JSON")
    assert second.endswith("at column 11")
    assert second.count("line") == 1


def test_a_report_without_any_text_is_refused(environment: dict[str, str]) -> None:
    done = triora(environment, "--title", " ")
    assert done.returncode == 2
    assert b"--title is empty" in done.stderr
    assert done.stdout == b""


def test_rows_are_scored_in_chunks_as_they_come() -> None:
    _, _, _, scorer = read(*(row(id=n) for n in range(2 * CHUNK + 1)))
    assert scorer.asked == [CHUNK, CHUNK, 1]


def test_keys_we_do_not_know_and_an_absent_body_do_no_harm() -> None:
    answers, _, refused, _ = read(b'{"title": "x", "labels": {"kind": "bug"}}\n')
    assert (len(answers), refused) == (1, 0)


@pytest.fixture(scope="module")
def local_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_mistral(tmp_path_factory.mktemp("tiny-mistral"))


@pytest.fixture
def environment(local_model: Path, tmp_path: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TRIORA_")}
    return clean | {
        "TRIORA_MODEL": str(local_model),
        "TRIORA_ADAPTER": "none",
        "TRIORA_DEVICE": "cpu",
        "TRIORA_DATA_DIR": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }


def triora(
    environment: dict[str, str], *options: str, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [TRIORA, "classify", *options],
        input=given,
        capture_output=True,
        env=environment,
        timeout=120,
    )


def test_one_report_by_options_gives_one_line_and_nothing_else(environment: dict[str, str]) -> None:
    done = triora(environment, "--title", "Crash", "--body", "On start.")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    answer = json.loads(line)
    assert list(answer) == ["id", "model", "dimensions"]
    assert answer["model"].endswith("/zero-shot/p1")
    assert list(answer["dimensions"]) == [d.name for d in DEFAULT_TAXONOMY.dimensions]
    for dimension in DEFAULT_TAXONOMY.dimensions:
        found = answer["dimensions"][dimension.name]
        chances = found["probabilities"]
        assert list(chances) == list(dimension.names)
        assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
        assert chances[found["label"]] == max(chances.values())
    # What libraries have to say is not for the person who asked.
    assert b"Warning" not in done.stderr
    assert b"kernels" not in done.stderr


def test_rows_from_standard_input_and_a_bad_one_end_with_code_2(
    environment: dict[str, str],
) -> None:
    done = triora(environment, given=row(id="a", repository="o/r") + b"{\n" + row(id="c"))
    assert done.returncode == 2
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["a", "c"]
    assert b"line 2" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_terminal_without_a_title_is_told_how_to_ask(environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [TRIORA, "classify"], stdin=theirs, capture_output=True, env=environment, timeout=120
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert b"--title" in done.stderr
    assert b"JSONL" in done.stderr


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("TRIORA_MODEL", "a b", b"smollm2-135m, mistral-7b"),
        ("TRIORA_ADAPTER", "/no/such/folder", b"TRIORA_ADAPTER"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    environment: dict[str, str], setting: str, value: str, told: bytes
) -> None:
    done = triora(environment | {setting: value}, "--title", "x")
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1]
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""


def test_evidence_stands_beside_each_answer_when_asked_for() -> None:
    out = io.StringIO()
    scored = Scoring(Counting(), evidence=True)  # type: ignore[arg-type]
    assert stream([row()], scored, out=out, err=io.StringIO()) == 0
    answer = json.loads(out.getvalue())
    assert {tuple(found) for found in answer["dimensions"].values()} == {
        ("label", "probabilities", "evidence")
    }


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.text('{}[]":, title\\ud8', max_size=40).map(str.encode),
            st.builds(row, title=st.text(max_size=20), body=st.none() | st.text(max_size=20)),
            st.builds(row, title=st.none() | st.integers() | st.lists(st.text(max_size=2))),
            st.sampled_from([b"[" * 10_000, b'{"title":' * 5_000, b"9" * 10_000, b"\xff" * 9]),
        ),
        max_size=6,
    )
)
def test_any_line_is_answered_or_named(lines: list[bytes]) -> None:
    given_rows = [line for raw in lines for line in raw.replace(b"\r", b"").split(b"\n")]
    full = sum(bool(line.strip()) for line in given_rows)
    answers, told, refused, _ = read(*(line + b"\n" for line in given_rows))
    assert len(answers) + refused == full
    assert told.isprintable() or "\n" in told
