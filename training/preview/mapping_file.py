"""Writes a proposed mapping as TOML that a person can edit, and checks one that comes back."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence

from app.core.errors import ConfigProblem
from training.mapping import LabelMapping
from training.preview.proposal import Proposal, Role


def dump(proposal: Proposal, mapping: LabelMapping) -> str:
    """The mapping with the reason beside each label; labels left out stand in comments."""
    lines = [
        "# Proposed by `triora preview`; edit it and pass it back with --mapping.",
        f"repositories = {_array(mapping.repositories)}",
        "",
        "[labels]",
    ]
    said = [p for p in proposal.labels if p.name in mapping.labels]
    rows = [f"{_text(p.name)} = {_table(mapping.labels[p.name])}" for p in said]
    wide = min(max((len(row) for row in rows), default=0), 72)
    for row, p in zip(rows, said, strict=True):
        lines.append(f"{row:<{wide}}  # {_plain(p.reason)}; {p.used} issues")
    left = [p for p in proposal.labels if p.name not in mapping.labels and p.used]
    if left:
        lines += ["", "# Left out:"]
        lines += [f"# {_text(p.name)}: {_why(p.role, p.reason)}; {p.used} issues" for p in left]
    if mapping.prefer:
        lines += ["", "[prefer]"]
        lines += [f"{_key(name)} = {_array(order)}" for name, order in mapping.prefer.items()]
    for name, own in mapping.dimensions.items():
        exclusive = str(own.exclusive).lower()
        lines += ["", f"[dimensions.{_text(name)}]", f"question = {_text(own.question)}"]
        lines.append(f"exclusive = {exclusive}")
    return "\n".join(lines) + "\n"


def check_names(mapping: LabelMapping, repository: str, known: Sequence[str]) -> None:
    """ConfigProblem for a mapping of another repository, or of labels that `known` lacks."""
    if repository.casefold() not in (name.casefold() for name in mapping.repositories):
        raise ConfigProblem(
            f"the mapping is for {', '.join(mapping.repositories)}: add {repository} to its "
            "repositories"
        )
    folded = {name.casefold(): name for name in known}
    unknown = [name for name in mapping.labels if name.casefold() not in folded]
    if not unknown:
        return
    hints = []
    for name in unknown[:5]:
        close = difflib.get_close_matches(name.casefold(), folded, n=1)
        hints.append(f"{name!r}" + (f" (is it {folded[close[0]]!r}?)" if close else ""))
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    raise ConfigProblem(
        f"the mapping names labels that {repository} does not have: {', '.join(hints)}{more}"
    )


def _why(role: Role, reason: str) -> str:
    return f"records a process, {_plain(reason)}" if role is Role.PROCESS else _plain(reason)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _text(value: str) -> str:
    # JSON's strings are TOML's, but for one character, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("-", "").isalnum() else _text(name)


def _array(values: Sequence[str]) -> str:
    return "[" + ", ".join(_text(value) for value in values) + "]"


def _table(answers: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{_key(d)} = {_text(a)}" for d, a in answers.items()) + " }"
