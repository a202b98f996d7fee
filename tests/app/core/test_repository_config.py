"""`.github/triora.yml`: what it may say, and how mistakes in it are named."""

import time
from pathlib import Path

import jsonschema_rs
import pytest

from app.core import patterns, safe_yaml
from app.core.decision import Reason, Thresholds
from app.core.repository_config import (
    DEFAULT_CONFIG,
    Mistakes,
    check,
    in_force,
    merge,
    parse,
    read,
    schema,
)
from app.core.taxonomy import AUTOMATION_LABELS, DEFAULT_TAXONOMY

DOCS = Path(__file__).parents[3] / "docs"

PHYSICS = "dimensions: {component: {labels: {physics: {description: Bodies}}}}"
PLATFORM = """
dimensions:
  platform:
    question: Where does it happen?
    labels:
      windows: {description: On Windows}
      linux: {description: On Linux}
"""


def mistakes(text):
    with pytest.raises(Mistakes) as refused:
        parse(text)
    return list(refused.value.lines)


def github_names(config, dimension):
    return {label.name: label.github for label in config.taxonomy[dimension].labels}


# What it may say


def test_an_empty_file_says_what_no_file_says():
    assert parse("") == parse("# nothing\n") == parse("dimensions:\ndeny:\n") == DEFAULT_CONFIG
    assert DEFAULT_CONFIG.taxonomy == DEFAULT_TAXONOMY


def test_dimensions_and_labels_are_added_dropped_and_renamed():
    config = parse(
        PLATFORM
        + """
  reproducibility: false
  component:
    rename: area
    labels: {audio: false, physics: {description: Bodies}}
"""
    )
    assert [d.name for d in config.taxonomy.dimensions] == [
        "kind",
        "severity",
        "component",
        "platform",
    ]
    names = github_names(config, "component")
    assert "audio" not in names
    assert names["physics"] == "area: physics"
    assert names["ui"] == "area: ui"
    assert config.taxonomy.meant("Area") is config.taxonomy["component"]
    assert config.taxonomy.vocabulary["platform"] == ("windows", "linux")


def test_an_alias_is_the_existing_name_and_never_created_unless_asked():
    config = parse(
        "dimensions: {severity: {labels: {critical: {github: P0},"
        " high: {github: P1, create: true}}}}"
    )
    made = {label.github: label.create for label in config.taxonomy["severity"].labels}
    assert made["P0"] is False
    assert made["P1"] is True
    assert made["severity: low"] is True
    assert config.taxonomy.owner_of("p0")[1].name == "critical"
    assert not any(x.create for x in parse("create_labels: false").taxonomy["severity"].labels)


def test_the_narrowest_threshold_holds_over_the_models():
    model = Thresholds(
        default=0.5,
        gate=0.3,
        labels={"severity": {"critical": 0.6, "high": 0.6}, "component": {"ui": 0.6}},
    )
    config = parse(
        "gate: {threshold: 0.2}\n"
        "dimensions: {severity: {threshold: 0.8, labels: {critical: {threshold: 0.95}}}}"
    )
    ours = config.thresholds(model)
    assert ours.of("severity", "critical") == 0.95
    assert ours.of("severity", "low") == 0.8
    assert ours.of("component", "ui") == 0.6
    assert ours.of("component", "audio") == 0.5
    assert ours.gate == 0.2
    everywhere = parse("threshold: 0.9").thresholds(model)
    assert everywhere.of("severity", "critical") == everywhere.of("component", "audio") == 0.9


def test_a_target_precision_becomes_the_threshold_that_reached_it_on_held_out_reports():
    measured = {"severity": {"high": {"0.8": 0.55, "0.9": 0.72, "0.95": 0.91}}}
    model = Thresholds(default=0.5, reached=measured)
    asked = parse("dimensions: {severity: {precision: 0.85}}").thresholds(model)
    assert asked.of("severity", "high") == 0.72
    # Never measured: a calibrated probability of 0.85 is right 17 times in 20.
    assert asked.of("severity", "low") == 0.85
    # No threshold reached it.
    assert parse("precision: 0.99").thresholds(model).of("severity", "high") == 0.99


def test_deny_rules_name_their_reason():
    config = parse(
        "deny: {authors: [Dependabot], titles: ['^\\[wip\\]', 'meta:'],"
        " labels: ['severity: critical', 'area/*', 'what[?]']}"
    )
    assert config.denied(author="dependabot") is Reason.DENIED_AUTHOR
    assert config.denied(title="[WIP] lamps") is Reason.DENIED_TITLE
    assert config.denied(title="no [wip]", author="ann", labels=["area"]) is None
    assert config.denied(labels=["Severity: Critical"]) is Reason.PEOPLES
    assert config.denied(labels=["area/ui"]) is Reason.PEOPLES
    assert config.denied(labels=["what[?]"]) is Reason.PEOPLES
    assert config.denied(labels=["what?"]) is None


@pytest.mark.parametrize("name", sorted(AUTOMATION_LABELS))
def test_no_label_that_starts_automation_can_be_named(name):
    for spelling in (name, name.replace(" ", "-"), name.upper()):
        said = mistakes(f"dimensions: {{severity: {{labels: {{low: {{github: {spelling}}}}}}}}}")
        assert "starts automation" in said[0]


def test_a_pattern_that_would_take_python_hours_takes_milliseconds():
    config = parse("deny: {titles: ['(a+)+$']}")
    began = time.process_time()
    assert config.denied(title="a" * 1023 + "!") is None
    assert time.process_time() - began < 5
    for hopeless in ("(?=a)", "(a)\\1", "(a{1000}){1000}", "a(", "a)(b", "a" * 201):
        with pytest.raises(ValueError, match="pattern"):
            patterns.check(hopeless)


# Mistakes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("foo: 1", "foo (line 1): there is no such key"),
        (
            "dimensions:\n  severity:\n    labels:\n      low:\n        treshold: 1",
            "dimensions.severity.labels.low.treshold (line 5): there is no such key",
        ),
        ("dry_run: 'yes'", "dry_run (line 1): write true or false, without quotes"),
        ("threshold: 1.5", "threshold (line 1): the most is 1: write a smaller number"),
        ("threshold: -1", "the least is 0: write a larger number"),
        ("precision: 1", "the most is less than 1:"),
        ("threshold: '0.8'", "write a number without quotes, as in 0.8"),
        ("grace_seconds: 1.5", "grace_seconds (line 1): write a whole number without quotes"),
        ("retraining: [1]", "retraining (line 1): write keys under it, each on a line of its own"),
        ("deny: {authors: ann}", "deny.authors (line 1): write a list: [one, another]"),
        ("deny: {authors: [1]}", "deny.authors.0 (line 1): write a text; in quotes"),
        ("deny:\n  authors: [' ann']", "deny.authors.0 (line 2): a name has no blank"),
        ("dimensions: {severity: {question: ''}}", "is empty: write something, or leave the key"),
        ("dimensions: {severity: {labels: {low: {color: red}}}}", "six hexadecimal digits"),
        (f"dimensions: {{severity: {{rename: {'x' * 51}}}}}", "has more than 50 characters"),
        (
            f"dimensions: {{severity: {{rename: {'x' * 50}}}}}",
            "its name on GitHub has more than 50",
        ),
        (f"deny: {{authors: [{'a,' * 51}]}}", "has more than 50 entries: leave some out"),
        ("treshold: 1", "treshold (line 1): there is no such key: did you mean `threshold`?"),
        ("deny: {author: [a]}", "did you mean `authors`?"),
        ("gate: {labels: bug}", "did you mean `label`?"),
        ("retraining: {now: 1}", "there are `enabled`, `after_corrections`, `every_days`"),
        ("dimensions: {severity: {lables: {}}}", "did you mean `labels`?"),
        ("threshold: 0.5\nprecision: 0.9", "precision (line 2): threshold or precision, not both"),
        ("dimensions: {severity: true}", "only `false` is allowed here as a switch"),
        ("gate: {label: bogus}", "gate.label (line 1): there is no label 'bogus'"),
        ("dimensions: {x: false}", "dimensions.x (line 1): there is no such dimension to drop"),
        ("dimensions: {x: {labels: {a: {description: a}, b: {description: b}}}}", "question"),
        ("dimensions: {component: {labels: {x: {}}}}", "a new label needs a description"),
        ("dimensions: {kind: {labels: {bug: false, feature: false}}}", "needs 2 to 40 labels"),
        ("dimensions: {component: {rename: severity}}", "'severity' names two dimensions"),
        ("dimensions: {component: {rename: Triage}}", "`/triage` is a command"),
        (
            "dimensions: {severity: {labels: {low: {github: 'Component: UI'}}}}",
            "stands for severity/low already",
        ),
        ("- a", "the file has to be a mapping of keys to values"),
        ("a: *b", "anchors"),
        ("dry_run: true\ncomment: 'yes", "line 2: this cannot be read as YAML"),
        ("dry_run: true\n\tcomment: true", "look for a tab, a colon without a blank"),
    ],
)
def test_a_mistake_names_its_key_and_line(text, said):
    assert any(said in line for line in mistakes(text)), mistakes(text)


def test_all_mistakes_are_named_at_once_and_a_flood_is_cut():
    assert len(mistakes("foo: 1\nbar: 2\ndry_run: 3")) == 3
    flood = mistakes("\n".join(f"k{n}: 1" for n in range(100)))
    assert len(flood) == 21
    assert flood[-1] == "and 80 more"


def test_a_key_of_odd_text_stays_on_one_line():
    (said,) = mistakes('"a\\nb\\u202e": 1')
    assert "\n" not in said
    assert "\u202e" not in said


# Owner and repository


def test_the_repository_stands_over_its_owner_key_by_key():
    owner = read("dry_run: true\nthreshold: 0.9\ndimensions: {severity: {labels: {low: false}}}")[0]
    own = read("dry_run: false\nprecision: 0.8\ndimensions: {severity: {question: How bad?}}")[0]
    config = check(merge(owner, own))
    assert config.dry_run is False
    assert (config.threshold, config.precision) == (None, 0.8)
    assert config.taxonomy["severity"].question == "How bad?"
    assert "low" not in config.taxonomy["severity"].names
    # What the owner dropped, a repository may take back, and lists are replaced.
    back = check(merge(owner, read("dimensions: {severity: {labels: {low: {}}}}")[0]))
    assert "low" in back.taxonomy["severity"].names


def test_what_is_in_force_is_checked_again_and_remembered():
    assert in_force(None) is DEFAULT_CONFIG
    assert in_force({"dry_run": True}) is in_force({"dry_run": True})
    with pytest.raises(Mistakes):
        in_force({"of_a_newer_triora": 1})


# The schema, and the page about it


SCHEMA = jsonschema_rs.validator_for(schema())


@pytest.mark.parametrize("text", ["", PHYSICS, PLATFORM, "gate: false", "suggest_from: false"])
def test_the_schema_takes_what_the_parser_takes(text):
    parse(text)
    assert SCHEMA.is_valid(read(text)[0])


@pytest.mark.parametrize(
    "text",
    [
        "foo: 1",
        "dimensions: {severity: {labels: {low: {treshold: 1}}}}",
        "dimensions: {' severity': {}}",
        "dimensions: {severity: true}",
        "dry_run: 'yes'",
        "threshold: 2",
        "deny: {authors: ann}",
        "retraining: {after_corrections: 1}",
        "grace_seconds: -1",
    ],
)
def test_the_schema_refuses_what_the_parser_refuses(text):
    assert mistakes(text)
    assert not SCHEMA.is_valid(safe_yaml.load(text).value)


def test_the_example_of_the_documentation_holds():
    text = (DOCS / "triora.yml").read_text(encoding="utf-8")
    parse(text)
    assert SCHEMA.is_valid(safe_yaml.load(text).value)


def keys(node, path=""):
    """Every key of the schema, as the documentation writes it, with its description."""
    node = schema()["$defs"][node["$ref"].split("/")[-1]] if "$ref" in node else node
    for kind in (*node.get("oneOf", ()), *node.get("anyOf", ())):
        yield from keys(kind, path)
    for name, under in node.get("properties", {}).items():
        yield f"{path}{name}", under["description"]
        yield from keys(under, f"{path}{name}.")
    for under in node.get("patternProperties", {}).values():
        yield from keys(under, f"{path}NAME.")


def test_the_page_names_every_key_of_the_schema_with_its_meaning_and_no_other():
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    told = {row.split("`")[1]: row.split("|")[2].strip() for row in rows}
    assert told == dict(keys(schema()))
