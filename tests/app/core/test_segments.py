from hypothesis import given
from hypothesis import strategies as st

from app.core.segments import MAX_ERRORS, PIECE, Rank, segments
from app.core.text import visible

FORM = """### Tested versions

4.3.stable

### Steps to reproduce

Open the editor
Press F5

### Minimal project

_No response_

### Log

```
loading textures
ERROR: texture missing at 0x1f
ERROR: texture missing at 0x2e
```
"""


def rank_of(body: str, start: str) -> Rank:
    return next(s.rank for s in segments(body) if s.text.startswith(start))


@given(st.text(max_size=2000) | st.text("#a1. \n`|<!->", max_size=400))
def test_the_pieces_joined_are_what_a_reader_sees(body: str) -> None:
    assert " ".join(s.text for s in segments(body)) == visible(body)


def test_error_lines_stand_first_even_inside_a_log() -> None:
    assert rank_of(FORM, "ERROR: texture missing at 0x1f") is Rank.ERROR
    assert rank_of(FORM, "loading textures") is Rank.BULK


def test_an_error_repeated_with_another_number_is_bulk() -> None:
    assert rank_of(FORM, "ERROR: texture missing at 0x2e") is Rank.BULK


def test_steps_come_before_other_fields_and_those_before_prose() -> None:
    assert rank_of(FORM, "Press F5") is Rank.STEP
    assert rank_of(FORM, "4.3.stable") is Rank.FIELD
    assert rank_of("I like it a lot.", "I like") is Rank.PROSE
    assert Rank.STEP < Rank.FIELD < Rank.PROSE < Rank.BULK


def test_a_field_nobody_filled_in_is_bulk() -> None:
    assert rank_of(FORM, "_No response_") is Rank.BULK


def test_headings_are_found_where_line_breaks_were_lost() -> None:
    body = "### Version 4.3 ### Steps to reproduce 1. Open it ### Notes none"
    assert [s.text for s in segments(body)] == [
        "### Version 4.3",
        "### Steps to reproduce 1. Open it",
        "### Notes none",
    ]
    assert rank_of(body, "### Steps") is Rank.STEP


def test_a_hash_inside_a_code_fence_is_no_heading() -> None:
    assert rank_of("```\n# Steps to reproduce\nnothing\n```", "nothing") is Rank.BULK


def test_a_log_full_of_errors_gives_only_so_many() -> None:
    body = "\n".join(f"error in module {chr(97 + n)}{chr(97 + n)}z" for n in range(26))
    assert sum(s.rank is Rank.ERROR for s in segments(body)) == MAX_ERRORS


def test_pieces_are_short_unless_there_is_no_space_to_cut_at() -> None:
    body = "word " * 500 + "x" * 1000
    found = segments(body)
    assert all(len(s.text) <= PIECE or " " not in s.text for s in found)


def test_the_largest_body_of_angle_brackets_is_read_in_linear_time() -> None:
    # A quadratic reading of 64 KB would run into pytest's time-out.
    for body in ("<!--" * 16384, " #" * 32768, "a " * 32768, "." * 65536, "\n" * 65536):
        segments(body)
