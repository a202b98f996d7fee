"""YAML from strangers: what could hurt is refused before anything is built of it."""

import re

import pytest

from app.core import safe_yaml
from app.core.errors import ConfigProblem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x", "line 1: anchors"),
        ('a: 1\nb: ["x\\0"]', "line 2: control characters"),
        ('"\\e": 1', "line 1: control characters"),
        ("a: [1]\nb: *x", "line 2: anchors"),
        ("a: !!python/object/apply:os.system [id]", "line 1: tags"),
        ("a: !x 1", "line 1: tags"),
        ("a: 1\nb: 2\na: 3", "line 3: key 'a' stands twice"),
        ("'on': 1\non: 2", "line 2: key 'on' stands twice"),
        ("[" * 13 + "]" * 13, "nested more than 12 levels deep"),
        ("? [a]\n: 1", "a key is plain text"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a: [", "line 2"),
        ("a: \x00", "control characters"),
        ("a: " + "x" * 65536, "larger than 64 KB"),
    ],
)
def test_what_could_hurt_is_refused_and_the_line_named(text, said):
    with pytest.raises(ConfigProblem, match=re.escape(said)):
        safe_yaml.load(text)


def test_an_alias_bomb_is_refused_before_it_grows():
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 40)]
    with pytest.raises(ConfigProblem, match="anchors"):
        safe_yaml.load("\n".join(["l0: &l0 [x]", *levels]))


def test_a_hundred_thousand_brackets_do_not_reach_the_stack():
    with pytest.raises(ConfigProblem, match="nested"):
        safe_yaml.load("[" * 60_000)


def test_keys_stay_the_words_they_are_and_values_are_json():
    document = safe_yaml.load("on: yes\nno: ~\n1.0: 2026-01-01\nbad: 2026-99-99\nn: 0x10")
    assert document.value == {
        "on": True,
        "no": None,
        "1.0": "2026-01-01",
        "bad": "2026-99-99",
        "n": 16,
    }


def test_every_key_has_its_line():
    lines = safe_yaml.load("a:\n  - b: 1\n    c: 2\n").lines
    assert lines == {("a",): 1, ("a", 0, "b"): 2, ("a", 0, "c"): 3}
