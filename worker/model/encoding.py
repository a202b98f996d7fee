"""Issues as token ids with answer slots at known positions; shared by training and scoring."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from app.core import prompt
from app.core.errors import ConfigProblem
from app.core.taxonomy import Dimension, Taxonomy
from app.core.text import IssueText

# Forms kept: one a taxonomy in use, and a server may serve many repositories.
KEPT_FORMS = 64


@dataclass(frozen=True, slots=True)
class Question:
    """One slot. `at`: index of its ':' in the form; `answers`: a token id a label, all distinct."""

    dimension: str
    labels: tuple[str, ...]
    at: int
    answers: tuple[int, ...]
    spelled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """The questions of a taxonomy as token ids: the constant end of every prompt."""

    ids: tuple[int, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One prompt. `slots`: positions in `ids`, one a question of the form, in its order."""

    ids: tuple[int, ...]
    slots: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts padded on the right, to run **without** an attention mask.

    A causal model never lets a real token see padding after it; a mask would only take attention
    off its fast path. input_ids: [n, tokens]; slots: [n, questions], 0 behind the last question of
    a prompt that has fewer; rows: index of each prompt in the sequence the batch was made from.
    """

    input_ids: torch.Tensor
    slots: torch.Tensor
    rows: tuple[int, ...]


class Encoder:
    """Turns issues into prompts for one tokenizer.

    text_tokens bounds the issue's text, never the questions. Slots are known by construction, so
    nothing that stands in an issue can be taken for one; special tokens in an issue are plain text.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_tokens: int,
        context: int | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._text_tokens = text_tokens
        self._context = context
        self._head = _opening(tokenizer)
        self._forms: OrderedDict[str, Form] = OrderedDict()

    @property
    def text_tokens(self) -> int:
        """Tokens of an issue's text that a prompt holds at most."""
        return self._text_tokens

    def encode(self, texts: Sequence[IssueText], taxonomy: Taxonomy) -> list[Encoded]:
        """One prompt a text, in order."""
        form = self.form(taxonomy)
        return [self._one(text, form) for text in texts]

    def _one(self, text: IssueText, form: Form) -> Encoded:
        shown = prompt.text(text, self._text_tokens, self._counts)
        start = (*self._head, *self._ids(shown)[: self._text_tokens])
        return Encoded(
            ids=(*start, *form.ids), slots=tuple(len(start) + q.at for q in form.questions)
        )

    def form(self, taxonomy: Taxonomy) -> Form:
        """The questions of `taxonomy`; ConfigProblem when the model has no room for them."""
        if taxonomy.digest not in self._forms:
            self._forms[taxonomy.digest] = self._make_form(taxonomy)
        self._forms.move_to_end(taxonomy.digest)
        while len(self._forms) > KEPT_FORMS:
            self._forms.popitem(last=False)
        return self._forms[taxonomy.digest]

    def _make_form(self, taxonomy: Taxonomy) -> Form:
        ids: list[int] = []
        questions: list[Question] = []
        for dimension in taxonomy.dimensions:
            block, options, answers = self._block(dimension)
            ids += block
            spelled = tuple(option.answer for option in options)
            questions.append(
                Question(dimension.name, dimension.names, len(ids) - 1, answers, spelled)
            )
        if self._context and len(self._head) + self._text_tokens + len(ids) > self._context:
            raise ConfigProblem(
                f"the taxonomy's questions take {len(ids)} tokens; the model reads"
                f" {self._context}, {self._text_tokens} of them kept for the issue: use fewer or"
                " shorter labels"
            )
        return Form(tuple(ids), tuple(questions))

    def _block(
        self, dimension: Dimension
    ) -> tuple[list[int], tuple[prompt.Option, ...], tuple[int, ...]]:
        """Token ids of a dimension's question up to its ':', its options and their answer ids."""
        options = self._named(dimension) or self._coded(dimension)
        block = prompt.slot(dimension, options)
        found = [self._answer(block, option.answer) for option in options]
        answers = tuple(answer for answer in found if answer is not None)
        if len(set(answers)) != len(options):
            raise ConfigProblem(
                f"this model's tokenizer has no distinct answers for dimension {dimension.name}"
            )
        return self._ids(block), options, answers

    def _named(self, dimension: Dimension) -> tuple[prompt.Option, ...] | None:
        """Options by name, if every name has a spelling that is one token of its own."""
        taken: dict[int, str] = {}
        bare = prompt.slot(dimension, ())
        for name in dimension.names:
            for spelling in prompt.spellings(name):
                answer = self._answer(bare, spelling)
                if answer is not None and answer not in taken:
                    taken[answer] = spelling
                    break
            else:
                return None
        return prompt.named(dimension, tuple(taken.values()))

    def _coded(self, dimension: Dimension) -> tuple[prompt.Option, ...]:
        """Options by code, the first codes that are one token of their own each."""
        taken: dict[int, str] = {}
        bare = prompt.slot(dimension, ())
        for code in prompt.codes():
            answer = self._answer(bare, code)
            if answer is not None and answer not in taken:
                taken[answer] = code
            if len(taken) == len(dimension.names):
                return prompt.coded(dimension, tuple(taken.values()))
        raise ConfigProblem(
            f"dimension {dimension.name} has {len(dimension.names)} labels; this model's tokenizer"
            f" tells only {len(taken)} apart: use fewer labels"
        )

    def _answer(self, block: str, answer: str) -> int | None:
        """The id of ' answer' right after `block`; None if it is not exactly one token there."""
        before, after = self._ids(block), self._ids(f"{block} {answer}")
        if len(after) == len(before) + 1 and after[:-1] == before:
            return after[-1]
        return None

    def _ids(self, text: str) -> list[int]:
        return self._tokenize([text])[0]

    def _counts(self, texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in self._tokenize(texts)]

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        found = self._tokenizer(
            list(texts),
            add_special_tokens=False,
            split_special_tokens=True,
            return_attention_mask=False,
            verbose=False,
        )
        return list(found["input_ids"])


def _opening(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """What the tokenizer puts before a text: a begin-of-text token, or nothing."""
    bare = tokenizer("x", add_special_tokens=False)["input_ids"]
    whole = tokenizer("x")["input_ids"]
    for at in range(len(whole)):
        if whole[at : at + len(bare)] == bare:
            return tuple(whole[:at])
    return ()


def batches(prompts: Sequence[Encoded], max_tokens: int) -> Iterator[Batch]:
    """Batches of prompts of about one length, each at most `max_tokens` with its padding.

    A prompt longer than that makes a batch of its own. Shortest first.
    """
    order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), row))
    rows: list[int] = []
    for row in order:
        # Sorted, so this prompt is the longest of its batch.
        if rows and (len(rows) + 1) * len(prompts[row]) > max_tokens:
            yield collate(prompts, rows)
            rows = []
        rows.append(row)
    if rows:
        yield collate(prompts, rows)


def collate(prompts: Sequence[Encoded], rows: Sequence[int]) -> Batch:
    """The prompts of those `rows`, padded on the right with id 0: nothing ever looks there."""
    longest = max(len(prompts[row]) for row in rows)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    for at, row in enumerate(rows):
        ids[at, : len(prompts[row])] = torch.tensor(prompts[row].ids)
    # Prompts of different taxonomies may have different numbers of questions.
    most = max(len(prompts[row].slots) for row in rows)
    slots = torch.zeros((len(rows), most), dtype=torch.long)
    for at, row in enumerate(rows):
        slots[at, : len(prompts[row].slots)] = torch.tensor(prompts[row].slots)
    return Batch(ids, slots, tuple(rows))
