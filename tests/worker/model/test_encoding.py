import pytest
from transformers import PreTrainedTokenizerFast

from app.core.errors import ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import IssueText
from tests.worker.model.conftest import TEXT_TOKENS, byte_level, issues, metaspace, taxonomy_of
from worker.model.encoding import Encoder, batches


def make(tokenizer: PreTrainedTokenizerFast) -> Encoder:
    return Encoder(tokenizer, TEXT_TOKENS, context=4096)


@pytest.fixture(params=[byte_level, metaspace])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    made: PreTrainedTokenizerFast = request.param()
    return made


def colon(tokenizer: PreTrainedTokenizerFast) -> int:
    return int(tokenizer(" x:", add_special_tokens=False)["input_ids"][-1])


def test_every_slot_is_the_colon_after_its_dimension(tokenizer: PreTrainedTokenizerFast) -> None:
    for prompt in make(tokenizer).encode(issues(8), DEFAULT_TAXONOMY):
        assert {prompt.ids[at] for at in prompt.slots} == {colon(tokenizer)}
        assert prompt.slots[-1] == len(prompt) - 1


def test_the_prompt_opens_as_the_tokenizer_opens_a_text() -> None:
    assert make(metaspace()).encode(issues(1), DEFAULT_TAXONOMY)[0].ids[0] == 1
    assert make(byte_level()).encode(issues(1), DEFAULT_TAXONOMY)[0].ids[0] != 0


def test_answers_are_distinct_tokens_and_follow_the_slot_in_context(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    for question in make(tokenizer).form(DEFAULT_TAXONOMY).questions:
        assert len(set(question.answers)) == len(question.labels)
        for answer, spelled in zip(question.answers, question.spelled, strict=True):
            assert tokenizer.decode([answer]).strip() == spelled


def test_names_in_another_case_are_taken_where_only_that_is_one_token() -> None:
    component = make(byte_level()).form(taxonomy_of("MENU", "Open")).questions[0]
    assert component.spelled == ("menu", "open")


@pytest.mark.parametrize(
    "names",
    [
        ("good first issue", "needs triage"),
        ("Dokumentation", "Übersetzung"),
        ("документация", "сеть"),
        ("性能", "画面"),
        ("🐛", "✨"),
        ("critical", "P0"),
    ],
)
def test_names_that_are_no_single_token_are_asked_by_code(
    tokenizer: PreTrainedTokenizerFast, names: tuple[str, ...]
) -> None:
    question = make(tokenizer).form(taxonomy_of(*names)).questions[0]
    assert question.labels == names
    assert question.spelled == ("A", "B")


def test_sixty_labels_get_sixty_codes_when_the_tokenizer_has_them(smollm2) -> None:  # type: ignore[no-untyped-def]
    names = tuple(f"area/part {n}" for n in range(60))
    question = Encoder(smollm2.tokenizer, 512).form(taxonomy_of(*names)).questions[0]
    assert len(set(question.answers)) == 60


def test_more_labels_than_the_tokenizer_tells_apart_is_a_clear_problem() -> None:
    names = tuple(f"area/part {n}" for n in range(30))
    with pytest.raises(ConfigProblem, match=r"area has 30 labels.*fewer labels"):
        make(byte_level()).form(taxonomy_of(*names))


def test_a_taxonomy_that_leaves_no_room_is_a_clear_problem() -> None:
    with pytest.raises(ConfigProblem, match="fewer or shorter labels"):
        Encoder(byte_level(), TEXT_TOKENS, context=100).form(DEFAULT_TAXONOMY)


def test_a_long_text_is_cut_and_the_questions_never(encoder: Encoder) -> None:
    form = encoder.form(DEFAULT_TAXONOMY)
    for body in ("word " * 13000, "🐛" * 65536, "x" * 65536, "שלום " * 13000):
        (prompt,) = encoder.encode([IssueText.of("t", body)], DEFAULT_TAXONOMY)
        assert prompt.ids[-len(form.ids) :] == form.ids
        assert len(prompt) <= TEXT_TOKENS + len(form.ids)


def test_a_text_that_quotes_the_form_moves_no_slot(encoder: Encoder) -> None:
    form = encoder.form(DEFAULT_TAXONOMY)
    (prompt,) = encoder.encode(
        [IssueText(title="severity: low\nkind:", body="kind:")], DEFAULT_TAXONOMY
    )
    start = len(prompt) - len(form.ids)
    assert prompt.slots == tuple(start + question.at for question in form.questions)


def test_a_special_token_in_a_text_is_plain_text(encoder: Encoder) -> None:
    (prompt,) = encoder.encode([IssueText(title="x <|end|> y")], DEFAULT_TAXONOMY)
    assert 0 not in prompt.ids


def test_batches_hold_every_prompt_once_and_keep_to_their_size(encoder: Encoder) -> None:
    prompts = encoder.encode(issues(40), DEFAULT_TAXONOMY)
    found = list(batches(prompts, 1000))
    assert sorted(row for batch in found for row in batch.rows) == list(range(40))
    assert all(batch.input_ids.numel() <= 1000 for batch in found)
    assert len(found) < 20


def test_a_prompt_beyond_the_batch_size_still_gets_its_batch(encoder: Encoder) -> None:
    prompts = encoder.encode(issues(3), DEFAULT_TAXONOMY)
    assert [len(batch.rows) for batch in batches(prompts, 1)] == [1, 1, 1]


def test_the_default_prompt_of_the_default_model_is_pinned(smollm2) -> None:  # type: ignore[no-untyped-def]
    # Whoever changes these ids changes the prompt: raise PROMPT_VERSION, then train again.
    (prompt,) = Encoder(smollm2.tokenizer, 512).encode(
        [IssueText(title="Crash 42", body="It crashes.")], DEFAULT_TAXONOMY
    )
    assert (prompt.ids, prompt.slots) == PINNED


# fmt: off
PINNED: tuple[tuple[int, ...], tuple[int, ...]] = (
    (
        25711, 1317, 216, 36, 34, 198, 1589, 22571, 30, 198, 8907, 365, 8202, 28, 3865,
        28, 1962, 727, 198, 12924, 383, 365, 24320, 28, 904, 28, 5641, 28, 1642, 727, 198,
        22131, 365, 17707, 28, 12878, 28, 8389, 28, 3082, 28, 3898, 28, 2851, 28, 550,
        727, 198, 257, 1228, 3029, 1968, 365, 36287, 28, 2406, 28, 3861, 727,
    ),
    (17, 29, 46, 58),
)
# fmt: on
