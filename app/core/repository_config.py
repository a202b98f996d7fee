"""`.github/triora.yml`: what a repository wants of the bot. Every key is optional.

`parse` reads one file, `merge` puts a repository's file over its owner's default, `check` makes the
configuration of both. A mistake names the key and its line, and of values at most a label's name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Any

from pydantic import Field, ValidationError

from app.core import config_rules, config_words, patterns, safe_yaml
from app.core.config_rules import Bar, DenyRule, DimensionRule, GateRule, OrOff, RetrainingRule
from app.core.configured_taxonomy import Built, build
from app.core.decision import Reason, Thresholds
from app.core.errors import ConfigProblem
from app.core.taxonomy import Name, Taxonomy

PATH = ".github/triora.yml"
# Where an owner keeps the default for all repositories, under the same path.
OWNERS_REPOSITORY = ".github"
SCHEMA_PATH = "/schema/triora.json"
_SHOWN = 20

Raw = dict[str, Any]
_Path = tuple[str | int, ...]


class Mistakes(ConfigProblem):
    """What is wrong with a configuration, one line a mistake, the path of its key first."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(dict.fromkeys(lines))
        super().__init__("; ".join(self.lines))


class Config(Bar):
    """What holds for one repository."""

    dimensions: dict[Name, OrOff[DimensionRule]] = Field(
        default_factory=dict,
        max_length=config_rules.MAX_DIMENSIONS,
        description="what is asked of an issue, by name; `false` drops one, a new name adds one",
    )
    gate: OrOff[GateRule] | None = Field(
        default=None, description="the label that opens gated dimensions; `false` opens them all"
    )
    create_labels: bool = Field(
        default=True, description="create GitHub labels that the repository never had"
    )
    dry_run: bool = Field(default=False, description="decide and record, write nothing to GitHub")
    suggest_only: bool = Field(
        default=False, description="propose labels instead of writing them, where GitHub can"
    )
    suggest_from: OrOff[config_rules.Share] = Field(
        default=0.5,
        description="least probability of a label that is proposed, not written; `false`: none is",
    )
    comment: bool = Field(
        default=False, description="say in one comment which labels were set, and how surely"
    )
    deny: DenyRule = Field(default=DenyRule(), description="what is left alone")
    grace_seconds: int | None = Field(
        default=None,
        ge=0,
        le=86_400,
        description="wait after an issue is opened or edited; the operator's own without",
    )
    memory: bool = Field(default=True, description="corrections shift the next decisions at once")
    retraining: RetrainingRule = Field(
        default=RetrainingRule(), description="when the model learns anew"
    )

    @cached_property
    def built(self) -> Built:
        """The taxonomy, or the mistakes that stand in its way."""
        gate = self.gate
        return build(self.dimensions, gate, create_labels=self.create_labels)

    @property
    def taxonomy(self) -> Taxonomy:
        """The default taxonomy with this repository's changes. Mistakes if they do not fit."""
        if self.built.taxonomy is None:
            raise Mistakes(f"{_dotted(path)}: {said}" for path, said in self.built.mistakes)
        return self.built.taxonomy

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that it says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def thresholds(self, model: Thresholds) -> Thresholds:
        """The model's thresholds with this repository's own; the narrowest that is said holds."""
        labels = {d: dict(own) for d, own in model.labels.items()}
        for dimension in self.taxonomy.dimensions:
            rule = self.dimensions.get(dimension.name) or DimensionRule()
            for name in dimension.names:
                said = rule.labels.get(name) or Bar()
                bar = next((b for b in (said, rule, self) if _speaks(b)), None)
                if bar is not None:
                    own = labels.setdefault(dimension.name, {})
                    own[name] = _least(bar, model, dimension.name, name)
        gate = model.gate
        if self.gate and self.gate.threshold is not None:
            gate = self.gate.threshold
        suggest = None if self.suggest_from is False else self.suggest_from
        return model.model_copy(update={"labels": labels, "gate": gate, "suggest": suggest})

    def denied(
        self, *, author: str = "", title: str = "", labels: Iterable[str] = ()
    ) -> Reason | None:
        """Why an issue of `author` with `title` is left alone, or one of `labels` not written."""
        if author.casefold() in (name.casefold() for name in self.deny.authors):
            return Reason.DENIED_AUTHOR
        if any(patterns.found(pattern, title) for pattern in self.deny.titles):
            return Reason.DENIED_TITLE
        if any(self.is_peoples(label) for label in labels):
            return Reason.PEOPLES
        return None

    def is_peoples(self, label: str) -> bool:
        """True for the name of a GitHub label that only people set."""
        folded = label.casefold()
        return any(fnmatchcase(folded, _plain(name)) for name in self.deny.labels)


DEFAULT_CONFIG = Config()


def parse(text: str) -> Config:
    """The configuration that one file makes by itself. Mistakes names every key that is wrong."""
    raw, lines = read(text)
    return check(raw, lines)


def read(text: str) -> tuple[Raw, Mapping[_Path, int]]:
    """What a file says, unchecked, and the lines of its keys. Mistakes if it is no such file."""
    try:
        document = safe_yaml.load(text)
    except ConfigProblem as error:
        raise Mistakes([str(error)]) from error
    value = _without_nothing(document.value)
    if not isinstance(value, dict):
        raise Mistakes(["the file has to be a mapping of keys to values"])
    return value, document.lines


def merge(owners: Raw, repositorys: Raw) -> Raw:
    """The repository's file over its owner's: mappings key by key, anything else replaces."""
    merged = dict(owners)
    for key, value in repositorys.items():
        under = merged.get(key)
        both = isinstance(under, dict) and isinstance(value, dict)
        merged[key] = merge(under or {}, value) if both else value
    # Two ways to say how sure: the nearer word holds, whichever it is.
    for said, other in (("threshold", "precision"), ("precision", "threshold")):
        if said in repositorys and other not in repositorys:
            merged.pop(other, None)
    return merged


def check(raw: Raw, lines: Mapping[_Path, int] | None = None) -> Config:
    """`raw` as a configuration. Mistakes names every key that is wrong, with its line if known."""
    where = lines or {}
    try:
        # As JSON, since only there a strict list may become a tuple.
        config = Config.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        wrong = [(_path(e["loc"]), e) for e in error.errors(include_input=False)]
        found = [(path, config_words.words(e, _keys(path))) for path, e in wrong]
        raise Mistakes(_lines(found, where)) from None
    found = [*_two_bars(config), *config.built.mistakes]
    if found:
        raise Mistakes(_lines(found, where))
    return config


def in_force(raw: Raw | None) -> Config:
    """The checked configuration of `raw` (None: the defaults), remembered."""
    return DEFAULT_CONFIG if raw is None else _remembered(json.dumps(raw, sort_keys=True))


@lru_cache(maxsize=256)
def _remembered(text: str) -> Config:
    return check(json.loads(text))


def schema() -> dict[str, Any]:
    """JSON Schema of the file, for editors and tests."""
    described: dict[str, Any] = _plainly(Config.model_json_schema())
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    described["title"] = PATH
    described["description"] = "What a repository wants of Triora. Every key is optional."
    return described


def _plainly(node: Any) -> Any:
    """Without what pydantic says for itself: titles, and null for what was not said."""
    if isinstance(node, list):
        return [_plainly(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {
        key: _plainly(value) for key, value in node.items() if key != "title" or _is_key(value)
    }
    if isinstance(found.get("default"), dict) or found.get("default", "") is None:
        del found["default"]
    kinds = [kind for kind in found.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del found["anyOf"]
        found |= kinds[0]
    if "patternProperties" in found:
        found["additionalProperties"] = False
    return found


def _is_key(value: Any) -> bool:
    # `title` is a word of JSON Schema, unless it names a property.
    return isinstance(value, dict)


def _speaks(bar: Bar) -> bool:
    return bar.threshold is not None or bar.precision is not None


def _least(bar: Bar, model: Thresholds, dimension: str, label: str) -> float:
    if bar.threshold is not None:
        return bar.threshold
    assert bar.precision is not None  # noqa: S101 - narrows the type for mypy
    return model.for_precision(dimension, label, bar.precision)


def _two_bars(config: Config) -> list[tuple[_Path, str]]:
    found: list[tuple[_Path, Bar]] = [((), config)]
    for name, rule in config.dimensions.items():
        if rule:
            found.append((("dimensions", name), rule))
            found += [
                (("dimensions", name, "labels", label), said)
                for label, said in rule.labels.items()
                if said
            ]
    return [
        ((*path, "precision"), "threshold or precision, not both")
        for path, bar in found
        if bar.threshold is not None and bar.precision is not None
    ]


def _plain(pattern: str) -> str:
    # Of fnmatch only the star means something: names have brackets and question marks.
    folded = pattern.casefold()
    return "".join(f"[{c}]" if c in "[?" else c for c in folded)


def _without_nothing(value: Any) -> Any:
    """A key without a value says nothing; an empty file neither."""
    if isinstance(value, dict):
        return {k: _without_nothing(v) for k, v in value.items() if v is not None}
    return {} if value is None else value


def _path(where: tuple[int | str, ...]) -> _Path:
    """Without the tags of alternatives, and without pydantic's mark for a key."""
    return tuple(part for part in where if part not in (config_rules.RULE, config_rules.SWITCH))


def _keys(path: _Path) -> list[str]:
    """The keys that may stand where the one at the end of `path` stands."""
    match path[:-1]:
        case ():
            part: type[config_rules.Part] = Config
        case ("dimensions", _):
            part = DimensionRule
        case ("dimensions", _, "labels", _):
            part = config_rules.LabelRule
        case ("gate",):
            part = GateRule
        case ("deny",):
            part = DenyRule
        case ("retraining",):
            part = RetrainingRule
        case _:
            return []
    return list(part.model_fields)


def _lines(found: Iterable[tuple[_Path, str]], lines: Mapping[_Path, int]) -> list[str]:
    said = []
    for path, words in found:
        path = path[:-1] if path and path[-1] == "[key]" else path
        line = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)
        where = _dotted(path) or "the file"
        said.append(f"{where} (line {line}): {words}" if line else f"{where}: {words}")
    more = len(said) - _SHOWN
    return said[:_SHOWN] + ([f"and {more} more"] if more > 0 else [])


def _dotted(path: _Path) -> str:
    """The path of a key; long or odd keys are cut and stay on one line."""
    parts = (str(part) for part in path)
    return ".".join(repr(p[:60])[1:-1] if not p.isprintable() else p[:60] for p in parts)
