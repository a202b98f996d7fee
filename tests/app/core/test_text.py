import pytest

from app.core.text import MAX_BODY, MAX_TITLE, IssueText, visible, visible_lines


def test_what_no_database_takes_is_dropped() -> None:
    assert IssueText.of("a\x00b\ud800", "c\udfff") == IssueText(title="ab", body="c")


def test_absent_strings_are_empty() -> None:
    assert IssueText.of(None, None) == IssueText(title="", body="")


def test_githubs_limits_are_kept() -> None:
    issue = IssueText.of("t" * 5000, "b" * 100_000)
    assert (len(issue.title), len(issue.body)) == (MAX_TITLE, MAX_BODY)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a <!-- template\nadvice --> b", "a b"),
        ("a <!-- never closed", "a"),
        ("a\r\n\r\n  b\tc ", "a b c"),
        ("safe\u202etxt.exe\u2066", "safetxt.exe"),
        ("\ufeffa\x07", "a"),
        ("", ""),
    ],
)
def test_a_model_sees_what_a_reader_sees(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_lines_are_kept_apart_where_asked() -> None:
    assert visible_lines("a  b\n\n<!-- x -->\r\n c") == ["a b", "c"]


def test_equal_hashes_mean_equal_texts() -> None:
    assert IssueText.of("a", "b").content_hash == IssueText.of("a", "b").content_hash
    assert IssueText.of("a\n", "b").content_hash != IssueText.of("a", "\nb").content_hash
