"""Which lines of a comment are commands, and what they ask for."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.commands import (
    LONGEST,
    MOST,
    Mistake,
    Order,
    Setting,
    Verb,
    find,
    quoted,
    read,
    sentence,
)
from app.core.taxonomy import DEFAULT_TAXONOMY, Dimension, Label, Taxonomy

LINE = "/severity high"
WORDS = [
    LINE,
    "/triage undo",
    "/component ui",
    "> ",
    "```",
    "~~~",
    "<!--",
    "-->",
    "<pre>",
    "</pre>",
]
comments = st.lists(
    st.one_of(st.sampled_from([*WORDS, "", "    "]), st.text(max_size=30)), max_size=12
).map("\n".join)


def asked(line, taxonomy=DEFAULT_TAXONOMY):
    setting = read(line, taxonomy)
    assert isinstance(setting, Setting)
    return setting.dimension.name, tuple(label.name for label in setting.labels)


@pytest.mark.parametrize(
    "body",
    [
        LINE,
        f"Thanks!\n\n{LINE}\nand that is that",
        f"   {LINE}  ",
        f"{LINE}\r\nfrom a mail",
        f"{LINE} <!-- sure -->",
        f"<!-- a note -->{LINE}",
        f"```\nlog\n```\n{LINE}",
        f"````\n```\n````\n{LINE}",
        f"> /severity low\n{LINE}",
        f"<!-- over\nlines -->\n{LINE}",
        f"<pre>log</pre>\n{LINE}",
        f"an inline ``` mark ``` is no fence\n{LINE}",
        "/SEVERITY\u00a0 \t high",
    ],
)
def test_a_line_of_its_own_is_a_command(body):
    assert [asked(line) for line in find(body, DEFAULT_TAXONOMY)] == [("severity", ("high",))]


@pytest.mark.parametrize(
    "body",
    [
        "",
        f"please say {LINE}",
        f"`{LINE}`",
        f"> {LINE}",
        f"  > > {LINE}",
        f"```\n{LINE}\n```",
        f"```text\n{LINE}",
        f"~~~~\n~~~\n{LINE}\n~~~~",
        f"- ```\n  {LINE}\n  ```",
        f"1. - ~~~\n{LINE}\n~~~",
        f"    {LINE}",
        f"\t{LINE}",
        f"<!-- {LINE} -->",
        f"<!--\n{LINE}\n-->",
        f"<pre>\n{LINE}\n</pre>",
        f"<PRE lang='x'>\n{LINE}",
        f"- {LINE}",
        "/severityhigh",
        "// severity high",
        "/assign @tom",
        "/lgtm",
        "/kind bug",
        "/ severity high",
    ],
)
def test_talk_about_commands_and_other_bots_commands_are_none(body):
    assert find(body, DEFAULT_TAXONOMY) == []


@given(comments)
@example("```\n" + LINE)
def test_any_comment_gives_few_short_printable_lines_that_read_or_are_mistakes(body):
    lines = find(body, DEFAULT_TAXONOMY)
    assert len(lines) <= MOST
    assert len(set(lines)) == len(lines)
    for line in lines:
        assert line.isprintable()
        assert len(line) <= LONGEST
        with suppress(Mistake):
            read(line, DEFAULT_TAXONOMY)


@given(comments)
def test_nothing_counts_once_it_is_quoted_or_fenced(body):
    quote = "\n".join(f"> {line}" for line in body.replace("\r", "\n").split("\n"))
    assert find(quote, DEFAULT_TAXONOMY) == []
    fence = "`" * 40
    assert find(f"{fence}\n{body}\n{fence}", DEFAULT_TAXONOMY) == []


@given(comments, st.sampled_from([LINE, "/triage undo", "/repro rare", "/component ui, audio"]))
def test_what_is_written_after_it_never_hides_a_command(body, line):
    assert find(f"{line}\n{body}", DEFAULT_TAXONOMY)[0] == line


@given(st.text(max_size=200))
def test_what_somebody_typed_is_shown_as_code_and_mentions_nobody(text):
    shown = quoted(text)
    assert len(shown) <= 62
    assert shown.count("`") == 2


@pytest.mark.parametrize("verb", Verb)
def test_triage_takes_its_verbs_in_any_case(verb):
    assert read(f"/Triage {verb.upper()}", DEFAULT_TAXONOMY) == Order(verb)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("/severity HIGH", ("severity", ("high",))),
        ("/severity severity: high", ("severity", ("high",))),
        ('/severity "high"', ("severity", ("high",))),
        ("/repro sometimes", ("reproducibility", ("sometimes",))),
        ("/reproducibility rare", ("reproducibility", ("rare",))),
        ("/component ui audio", ("component", ("ui", "audio"))),
        ("/component audio, ui, audio", ("component", ("audio", "ui"))),
    ],
)
def test_labels_are_understood_as_people_write_them(line, meant):
    assert asked(line) == meant


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/severity hihg", "`/severity`: no label `hihg`. Allowed: `critical`, `high`, `medium`"),
        ("/severity", "`/severity` needs a label. Allowed: `critical`"),
        ("/severity high low", "`/severity` takes one label, not several."),
        ("/severity very high", "`/severity`: no label `very high`."),
        ("/severity high, low", "`/severity` takes one label, not several."),
        ("/component ui `@all`", "no label `'@all'`. Allowed: `ui`"),
        ("/triage", "`/triage` is no command. Allowed: `/triage rerun`, `/triage explain`"),
        ("/triage accepted", "`/triage accepted` is no command."),
    ],
)
def test_a_mistake_says_what_is_wrong_and_what_is_allowed(line, said):
    with pytest.raises(Mistake) as caught:
        read(line, DEFAULT_TAXONOMY)
    assert said in str(caught.value)


def test_a_repositorys_own_dimensions_have_commands_under_both_their_names():
    def label(name):
        return Label(name=name, github=f"x/{name}", description="", color="ffffff")

    own = Dimension(
        name="user impact", title="Impact", question="?", labels=(label("all of us"), label("few"))
    )
    taxonomy = Taxonomy(dimensions=(own,))
    body = "/user-impact all of us\n/impact few\n/severity high\n/repro rare"
    lines = find(body, taxonomy)
    assert [asked(line, taxonomy) for line in lines] == [
        ("user impact", ("all of us",)),
        ("user impact", ("few",)),
    ]


def test_a_dimension_that_was_dropped_since_is_a_mistake():
    (line,) = find("/repro rare", DEFAULT_TAXONOMY)
    fewer = Taxonomy(dimensions=DEFAULT_TAXONOMY.dimensions[:2])
    with pytest.raises(Mistake, match="no such dimension"):
        read(line, fewer)


@pytest.mark.parametrize(
    "text",
    [
        "ping @core/team",
        "see #12",
        "see GH-12",
        "www.example.org",
        "https://example.org",
        "![](https://example.org/a.png)",
        "<!-- triora:labels -->",
        "<img src=x>",
        "# heading",
        "- point",
        "*loud*",
        "a_b_c",
        "one\n\n@core/team",
        "`` ` `` @core/team",
        "0b1f3ee",
        "",
    ],
)
def test_a_sentence_that_markdown_would_read_is_code_on_one_line(text):
    said = sentence(text)
    assert said[0] == said[-1] == "`"
    assert not {"`", "\n"} & set(said[1:-1])


@pytest.mark.parametrize(
    "text", ["Crash, data loss, or nobody can play.", "Bild: Größe (nicht Farbe)", "UI"]
)
def test_a_sentence_of_mere_words_stays_as_it_is(text):
    assert sentence(text) == text


@pytest.mark.parametrize("dimension", DEFAULT_TAXONOMY.dimensions, ids=lambda d: d.name)
def test_our_own_descriptions_are_mere_words(dimension):
    assert [
        x.description for x in dimension.labels if sentence(x.description) != x.description
    ] == []
