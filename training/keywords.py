"""Label functions: whole-word rules that guess labels from the text. A cold start, never truth.

They read what a reader of the issue sees, without hidden comments, and without the form fields
that describe the reporter's machine: a GPU's name there is no sign of a graphics bug. A rule that
finds nothing abstains; where every rule of a dimension abstains, its default is the guess.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from app.core.taxonomy import Taxonomy
from app.core.text import IssueText, visible
from training.evaluation import share
from training.example import Answer, Example, Provenance
from training.figures import Figure

# A word in the title says more than one somewhere in the body.
TITLE_VOTES = 3
# What the default counts for against the votes.
DEFAULT_VOTES = 0.5

_ENVIRONMENT = re.compile(
    r"#{1,6} (?:tested versions|system information|(?:luanti|minetest) version"
    r"|operating system(?: and version)?|cpu model|gpu model|active renderer|openrct2 build"
    r"|base game|bevy version(?: and features)?|(?:\[optional\] )?relevant system information)\b"
    r".*?(?=#{1,6} |\Z)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class LabelFunction:
    """One rule: any of `words` (regular expressions between word borders) votes for a label."""

    name: str
    dimension: str
    label: str
    words: tuple[str, ...]

    def pattern(self) -> re.Pattern[str]:
        """The rule as one pattern: whole words, whatever their case."""
        return re.compile(rf"(?<!\w)(?:{'|'.join(self.words)})(?!\w)", re.IGNORECASE)


def _rules(dimension: str, rows: Mapping[str, tuple[str, str]]) -> tuple[LabelFunction, ...]:
    return tuple(
        LabelFunction(f"{dimension}: {name}", dimension, label, tuple(words.split(" | ")))
        for name, (label, words) in rows.items()
    )


FUNCTIONS = (
    *_rules(
        "kind",
        {
            "wish": (
                "feature",
                "feature request | please add | add support for"
                " | it would be (?:nice|great|good) | proposal | enhancement | suggestion"
                " | is your feature request | what problem does this solve",
            ),
            "question": (
                "question",
                "how (?:do|can|to) i | how do you | is it possible to"
                " | what is the (?:best )?way | question",
            ),
            "failure": (
                "bug",
                "crash(?:es|ed|ing)? | bugs? | broken | regression | panic(?:s|ked)?"
                " | incorrect(?:ly)? | fails? | failed | not working"
                " | (?:doesn't|does not|don't|do not) work | steps to reproduce"
                " | what went wrong | errors?",
            ),
        },
    ),
    *_rules(
        "severity",
        {
            "crash": (
                "critical",
                "crash(?:es|ed|ing)? | segfaults? | segmentation fault | sigsegv | sigabrt"
                " | panic(?:s|ked|king)? | access violation | stack overflow | backtrace"
                " | use[- ]after[- ]free | null pointer",
            ),
            "hang": (
                "critical",
                "freez(?:e|es|ing) | frozen | hangs? | deadlocks? | infinite loop | not responding",
            ),
            "loss": (
                "critical",
                "data loss | corrupt(?:s|ed|ion)? | lost (?:all|my) | security | vulnerability",
            ),
            "no start": (
                "critical",
                "(?:won't|will not|doesn't|cannot|can't|unable to|fails? to)"
                " (?:start|launch|build|compile|open the (?:game|editor))",
            ),
            "unusable": (
                "high",
                "unusable | unplayable | completely broken | memory leaks? | regression"
                " | no longer works?",
            ),
            "cosmetic": (
                "low",
                "typos? | wording | cosmetic | spelling | misspell(?:ed|ing) | grammar"
                " | tooltips? | misaligned | alignment | documentation | docs?",
            ),
            "mild": (
                "medium",
                "incorrect(?:ly)? | wrong(?:ly)? | inconsistent(?:ly)? | workaround"
                " | unexpected(?:ly)? | missing | warnings?",
            ),
        },
    ),
    *_rules(
        "component",
        {
            "interface": (
                "ui",
                "ui | gui | menus? | windows? | dialogs? | buttons? | editor | inspector | dock"
                " | tooltips? | formspecs? | hud | fonts? | text ?edit | line ?edit"
                " | scroll(?:bar|ing)? | cursor | drag and drop | shortcuts? | popups? | tabs?"
                " | layout",
            ),
            "rendering": (
                "graphics",
                "render(?:s|ed|er|ing)? | shaders? | textures? | materials? | light(?:s|ing)?"
                " | shadows? | mesh(?:es)? | sprites? | particles? | gpu | vulkan | opengl"
                " | wgpu | metal | directx | d3d12 | viewports? | camera | bloom | fog | hdr"
                " | msaa | gltf",
            ),
            "sound": ("audio", "audio | sounds? | music | volume | microphone | openal"),
            "connections": (
                "network",
                "network(?:ing)? | multiplayer | servers? | disconnect(?:s|ed|ion)?"
                " | connection | desync(?:s|ed)? | http | download(?:s|ed|ing)? | packets?"
                " | rpc",
            ),
            "files": (
                "save",
                "sav(?:e|es|ed|ing) | savegames?"
                " | load(?:s|ed|ing)? (?:game|save|park|scenario|scene|world|map)"
                " | import(?:s|ed|er|ing)? | export(?:s|ed|er|ing)? | seriali[sz]ation"
                " | file formats? | database | config(?:uration)? file",
            ),
            "speed": (
                "performance",
                "performance | slow(?:er|ly|ness|down)? | lag(?:s|gy|ging)? | fps"
                " | stutter(?:s|ing)? | memory leaks? | high cpu | cpu usage | memory usage"
                " | frame ?rate | optimi[sz]e",
            ),
            "world": (
                "other",
                "physics | collisions? | scripts? | scripting | gdscript | lua | c# | api"
                " | build | cmake | ci | compile(?:r|s)? | animations? | input | joypad"
                " | keyboard | guests? | rides? | ecs | query | systems? | mapgen | pathfinding"
                " | docs?",
            ),
        },
    ),
    *_rules(
        "reproducibility",
        {
            "never again": (
                "rare",
                "rarely | once | hard to reproduce"
                " | (?:can't|cannot|can not|unable to|couldn't)"
                " (?:reliably |consistently )?reproduce"
                " | not reproducible | occurrences? since | only happened",
            ),
            "now and then": (
                "sometimes",
                "sometimes | random(?:ly)? | intermittent(?:ly)? | occasional(?:ly)? | often"
                " | race condition | flaky | after a while | unreliabl[ey] | at times"
                " | seemingly",
            ),
            "every time": (
                "always",
                "always | every time | each time | consistently | 100 ?% | steps to reproduce"
                " | reproducible in | reproducible: always",
            ),
        },
    ),
)

DEFAULTS = {
    "kind": "bug",
    "severity": "medium",
    "component": "other",
    "reproducibility": "always",
}

_PATTERNS = {function: function.pattern() for function in FUNCTIONS}


def readable(text: IssueText) -> tuple[str, str]:
    """Title and body as the rules read them."""
    return visible(text.title), _ENVIRONMENT.sub(" ", visible(text.body))


def fired(text: IssueText) -> dict[LabelFunction, int]:
    """The rules that found something, with their votes; one that abstained is not in it."""
    title, body = readable(text)
    votes = {}
    for function, pattern in _PATTERNS.items():
        if pattern.search(title):
            votes[function] = TITLE_VOTES
        elif pattern.search(body):
            votes[function] = 1
    return votes


def scores(text: IssueText, taxonomy: Taxonomy) -> dict[str, dict[str, float]]:
    """Votes as shares per dimension; a dimension no rule knows is uniform."""
    votes: dict[tuple[str, str], float] = defaultdict(float)
    for function, count in fired(text).items():
        votes[function.dimension, function.label] += count
    found = {}
    for name, labels in taxonomy.vocabulary.items():
        said = {label: votes[name, label] for label in labels}
        default = DEFAULTS.get(name)
        if default in said:
            said[default] += DEFAULT_VOTES
        total = sum(said.values())
        found[name] = {
            label: count / total if total else 1 / len(labels) for label, count in said.items()
        }
    return found


def weak(example: Example, taxonomy: Taxonomy) -> Example:
    """The example with the rules' guesses for labels (provenance keyword), its own dropped.

    Dimensions in which every rule abstained have no label: a default is no sign of anything.
    """
    return _guessed(example, taxonomy, {function.dimension for function in fired(example.text)})


def guessed(example: Example, taxonomy: Taxonomy) -> Example:
    """The same with defaults where every rule abstained: all that the rules would have answered.

    What a model learns to do what the rules do, and no better, from.
    """
    return _guessed(example, taxonomy, set(DEFAULTS).intersection(taxonomy.vocabulary))


def _guessed(example: Example, taxonomy: Taxonomy, dimensions: Collection[str]) -> Example:
    guesses = scores(example.text, taxonomy)
    labels = {
        name: Answer(
            label=max(guesses[name], key=lambda label: guesses[name][label]),
            provenance=Provenance.KEYWORD,
        )
        for name in taxonomy.vocabulary
        if name in dimensions
    }
    return example.model_copy(update={"labels": labels})


class Agreement(BaseModel):
    """How often a rule speaks, and how often read labels agree when it does.

    `share_of_label` is how often its label is the true one anyway: a rule that agrees no more
    often than that knows nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    function: str
    dimension: str
    label: str
    coverage: Figure
    agreement: Figure
    share_of_label: float | None


def agreements(examples: Sequence[Example]) -> list[Agreement]:
    """Every rule against the labels of `examples` (those known; keyword labels do not count)."""
    found = []
    spoken = [fired(example.text) for example in examples]
    for function in FUNCTIONS:
        known = [
            (function in said, example.label(function.dimension) == function.label)
            for example, said in zip(examples, spoken, strict=True)
            if (answer := example.labels.get(function.dimension)) is not None
            and answer.provenance is not Provenance.KEYWORD
        ]
        right = [agrees for speaks, agrees in known if speaks]
        found.append(
            Agreement(
                function=function.name,
                dimension=function.dimension,
                label=function.label,
                coverage=share(len(right), len(known)),
                agreement=share(sum(right), len(right)),
                share_of_label=sum(a for _, a in known) / len(known) if known else None,
            )
        )
    return found
