"""Whatever stands in an issue, comment or file: looked at in time linear in its length."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

import pytest

from app.core import commands, prompt, repository_config, safe_yaml
from app.core.errors import ConfigProblem
from app.core.segments import segments
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import MAX_BODY, IssueText, visible
from tests.hostile import BODIES

# Processor seconds for all texts together, of which all take about a hundredth: what is quadratic
# in 65,536 characters takes longer for a single one.
MOST_SECONDS = 20


def few(texts: Sequence[str]) -> list[int]:
    return [len(text) // 4 + 1 for text in texts]


def commanded(body: str) -> None:
    for line in commands.find(body, DEFAULT_TAXONOMY):
        with contextlib.suppress(commands.Mistake):
            commands.read(line, DEFAULT_TAXONOMY)


def configured(body: str) -> None:
    with contextlib.suppress(repository_config.Mistakes):
        repository_config.parse(body[: safe_yaml.MAX_BYTES])


LOOKS: dict[str, Callable[[str], object]] = {
    "kept": lambda body: IssueText.of(body, body).content_hash,
    "shown": visible,
    "ranked": segments,
    "asked": lambda body: prompt.text(IssueText.of(body, body), 256, few),
    "commanded": commanded,
    "configured": configured,
}


@pytest.mark.parametrize("look", LOOKS)
def test_the_longest_texts_stall_nothing(look: str) -> None:
    began = time.process_time()
    for body in BODIES.values():
        LOOKS[look](body)
    assert time.process_time() - began < MOST_SECONDS


@pytest.mark.parametrize("name", BODIES)
def test_little_of_a_hostile_text_reaches_the_tokenizer(name: str) -> None:
    budget, handed = 256, []

    def count(texts: Sequence[str]) -> list[int]:
        handed.append(sum(map(len, texts)))
        return few(texts)

    seen = prompt.text(IssueText.of(BODIES[name], BODIES[name]), budget, count)
    assert sum(handed) <= 6 * budget * prompt.CHARS_PER_TOKEN < MAX_BODY / 5
    assert "\x00" not in seen


@pytest.mark.parametrize("name", ["YAML aliases", "brackets", "one letter", "NUL"])
def test_a_hostile_file_is_refused_in_words(name: str) -> None:
    with pytest.raises(ConfigProblem):
        repository_config.parse(BODIES[name])
