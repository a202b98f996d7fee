"""Labels of an issue and of a repository."""

from __future__ import annotations

import re
from typing import Any

from deploy.sandbox.rest.exchange import Refusal, Reply, invalid, not_found
from deploy.sandbox.rest.routing import ANYBODY, Call, Routes
from deploy.sandbox.world import shapes
from deploy.sandbox.world.model import Issue, Label, Role

routes = Routes()
LONGEST_NAME, LONGEST_DESCRIPTION, MOST_LABELS = 50, 100, 100
_COLOR = re.compile(r"[0-9a-fA-F]{6}")


def names_of(items: list[Any]) -> list[str]:
    """Label names of strings or of objects with a name. Refusal 422 for what cannot be one."""
    return [_checked_name(item.get("name") if isinstance(item, dict) else item) for item in items]


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise invalid("Label", "name", value=name)
    if len(name) > LONGEST_NAME:
        raise invalid("Label", "name", "too_long", name)
    return name


def _items(call: Call) -> list[Any]:
    """The labels of a request: an object with `labels`, a bare array, or a single string."""
    data = call.body()
    items = data.get("labels", []) if isinstance(data, dict) else data
    if isinstance(items, str):
        return [items]
    if not isinstance(items, list):
        raise invalid("Label", "labels", value=items)
    return items


def _check_count(issue: Issue, names: list[str], *, replace: bool = False) -> None:
    standing = set() if replace else {label.name.casefold() for label in issue.labels}
    if len(standing | {name.casefold() for name in names}) > MOST_LABELS:
        raise Refusal(
            422,
            "Validation Failed",
            errors=[
                {
                    "resource": "Issue",
                    "code": "custom",
                    "field": "labels",
                    "message": f"issues can only have up to {MOST_LABELS} labels",
                }
            ],
        )


def _shown(call: Call, issue: Issue) -> Reply:
    return Reply(data=[shapes.label(call.world, issue.repository, x) for x in issue.labels])


# On an issue

_ON_ISSUE = "/repos/{owner}/{repo}/issues/{issue_number}/labels"


@routes.add("GET", _ON_ISSUE, ANYBODY)
def list_on_issue(call: Call) -> Reply:
    """Labels of an issue."""
    issue = call.issue()
    return call.paged(issue.labels, lambda x: shapes.label(call.world, issue.repository, x))


@routes.add("POST", _ON_ISSUE)
def add_to_issue(call: Call) -> Reply:
    """Add labels, twice changes nothing; objects with `suggest` become proposals."""
    issue = call.issue("write")
    call.need_role(issue.repository, Role.TRIAGE)
    items, names = _items(call), []
    for item in items:
        name = names_of([item])[0]
        if issue.repository.suggestions_enabled and _suggests(item):
            if not issue.has(name):
                call.act.suggest(issue, name, item.get("rationale"), item.get("confidence"))
        else:
            names.append(name)
    _check_count(issue, names)
    call.act.label(issue, names)
    return _shown(call, issue)


def _suggests(item: Any) -> bool:
    return isinstance(item, dict) and item.get("suggest") is True


@routes.add("PUT", _ON_ISSUE)
def replace_on_issue(call: Call) -> Reply:
    """Make these the issue's labels."""
    issue = call.issue("write")
    call.need_role(issue.repository, Role.TRIAGE)
    names = names_of(_items(call))
    _check_count(issue, names, replace=True)
    call.act.set_labels(issue, names)
    return _shown(call, issue)


@routes.add("DELETE", _ON_ISSUE)
def clear_issue(call: Call) -> Reply:
    """Take every label off."""
    issue = call.issue("write")
    call.need_role(issue.repository, Role.TRIAGE)
    call.act.unlabel(issue, list(issue.labels))
    return Reply(204)


@routes.add("DELETE", _ON_ISSUE + "/{name}")
def remove_from_issue(call: Call) -> Reply:
    """Take one label off; 404 when it is not there."""
    issue = call.issue("write")
    call.need_role(issue.repository, Role.TRIAGE)
    wanted = call.params["name"].casefold()
    found = [label for label in issue.labels if label.name.casefold() == wanted]
    if not found:
        raise Refusal(404, "Label does not exist")
    call.act.unlabel(issue, found)
    return _shown(call, issue)


# Of a repository

_OF_REPOSITORY = "/repos/{owner}/{repo}/labels"


@routes.add("GET", _OF_REPOSITORY, ANYBODY)
def list_of_repository(call: Call) -> Reply:
    """Labels of a repository, by name."""
    repository = call.repository("issues")
    ordered = [repository.labels[key] for key in sorted(repository.labels)]
    return call.paged(ordered, lambda x: shapes.label(call.world, repository, x))


@routes.add("POST", _OF_REPOSITORY)
def create(call: Call) -> Reply:
    """A new label; 422 `already_exists` when the name is taken, in any case."""
    repository = call.repository("issues", "write")
    call.need_role(repository, Role.WRITE)
    wanted = call.fields()
    name = _checked_name(wanted.get("name"))
    if repository.label(name):
        raise invalid("Label", "name", "already_exists")
    color, description = _color(wanted) or "ededed", _description(wanted)
    label = call.act.create_label(repository, name, color, description)
    shape = shapes.label(call.world, repository, label)
    return Reply(201, shape, {"location": shape["url"]})


def _color(wanted: dict[str, Any]) -> str | None:
    color = wanted.get("color")
    if color is None:
        return None
    if not isinstance(color, str) or not _COLOR.fullmatch(color):
        raise invalid("Label", "color", value=color)
    return color.lower()


def _description(wanted: dict[str, Any]) -> str | None:
    text = wanted.get("description")
    if text is not None and len(text) > LONGEST_DESCRIPTION:
        raise invalid("Label", "description", "too_long")
    return text


def _named(call: Call, level: str) -> Label:
    label = call.repository("issues", level).label(call.params["name"])
    if label is None:
        raise not_found()
    return label


@routes.add("GET", _OF_REPOSITORY + "/{name}", ANYBODY)
def get(call: Call) -> Reply:
    """One label."""
    return Reply(data=shapes.label(call.world, call.repository("issues"), _named(call, "read")))


@routes.add("PATCH", _OF_REPOSITORY + "/{name}")
def change(call: Call) -> Reply:
    """Rename, recolour or re-describe a label."""
    repository, label, wanted = call.repository("issues"), _named(call, "write"), call.fields()
    call.need_role(repository, Role.WRITE)
    name = wanted.get("new_name")
    if name is not None:
        taken = repository.label(_checked_name(name))
        if taken is not None and taken is not label:
            raise invalid("Label", "name", "already_exists")
    call.act.edit_label(
        repository, label, name=name, color=_color(wanted), description=_description(wanted)
    )
    return Reply(data=shapes.label(call.world, repository, label))


@routes.add("DELETE", _OF_REPOSITORY + "/{name}")
def delete(call: Call) -> Reply:
    """Delete a label everywhere."""
    repository, label = call.repository("issues"), _named(call, "write")
    call.need_role(repository, Role.WRITE)
    call.act.delete_label(repository, label)
    return Reply(204)
