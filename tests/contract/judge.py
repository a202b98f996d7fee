"""Hold every exchange with the stand-in, and every webhook it sends, against GitHub's description.

A violation names route and place. Requests that a test gets wrong on purpose say so in the header
DELIBERATE, and only their answers are judged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import jsonschema_rs

from deploy.sandbox.rest.exchange import Exchange
from deploy.sandbox.sandbox import Sandbox
from deploy.sandbox.world.model import Delivery
from tests.contract import fetch
from tests.contract.operations import OPERATIONS, webhook_name

DELIBERATE = "x-deliberately-wrong"
# Statuses any route may answer with, whether or not its own list has them.
_ANYWHERE = {"301", "304", "400", "401", "403", "404", "410", "422", "429"}
_ERROR = {
    "type": "object",
    "required": ["message", "documentation_url"],
    "properties": {"message": {"type": "string"}, "documentation_url": {"type": "string"}},
}


class Judge:
    """Collects violations; `exchange` and `delivery` are observers for the stand-in."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.seen: set[str] = set()

    def exchange(self, it: Exchange) -> None:
        """Judge a request and its answer."""
        name = f"{it.method} {it.template}"
        if it.template is None or name not in OPERATIONS:
            if DELIBERATE not in it.request_headers:
                self.violations.append(f"{it.method} {it.path}: no such operation in GitHub's API")
            return
        self.seen.add(name)
        problems: list[str] = []
        if DELIBERATE not in it.request_headers:
            problems += _request_problems(name, it)
        if it.applied:
            problems += _answer_problems(name, it)
        self._note(f"{it.method} {it.path} ({it.template})", problems)

    def delivery(self, it: Delivery) -> None:
        """Judge a webhook's payload."""
        name = webhook_name(it.event, it.action)
        self.seen.add(f"webhook {name}")
        if name not in fetch.load()["webhooks"]:
            self.violations.append(f"webhook {name}: not among those in use")
            return
        payload = json.loads(it.payload)
        self._note(f"webhook {name}", _problems(f"webhooks/{name}", payload))

    def _note(self, where: str, problems: Iterable[str]) -> None:
        for problem in problems:
            text = f"{where}: {problem}"
            if text not in self.violations:
                self.violations.append(text)


@contextmanager
def judged(sandbox: Sandbox) -> Iterator[Judge]:
    """Everything a sandbox hears and says meanwhile is judged; violations fail the end."""
    fetch.load()  # here, where a missing npm is an error of its own
    judge = Judge()
    sandbox.standin.rest.observers.append(judge.exchange)
    sandbox.standin.hooks.observers.append(judge.delivery)
    yield judge
    assert not judge.violations, "against GitHub's description:\n" + "\n".join(judge.violations)


def _request_problems(name: str, it: Exchange) -> Iterator[str]:
    operation = fetch.load()["operations"][name]
    given = dict(it.parameters)
    for parameter in given.keys() - operation["query"].keys():
        yield f"query parameter {parameter!r} is unknown"
    for parameter in set(operation["required_query"]) - given.keys():
        yield f"query parameter {parameter!r} is missing"
    for parameter, text in given.items():
        if parameter in operation["query"]:
            value = _typed(operation["query"][parameter], text)
            for problem in _problems(f"operations/{name}/query/{parameter}", value):
                yield f"query parameter {parameter!r}: {problem}"
    if it.request_body and operation["body"] is not None:
        for problem in _problems(f"operations/{name}/body", _decoded(it.request_body)):
            yield f"request body: {problem}"
    elif it.request_body.strip() not in (b"", b"{}"):
        yield "sends a body where none is expected"


def _answer_problems(name: str, it: Exchange) -> Iterator[str]:
    responses = fetch.load()["operations"][name]["responses"]
    status = str(it.status)
    if status not in responses and status not in _ANYWHERE:
        yield f"status {status} is not among {sorted(responses)}"
        return
    if status == "304" or (status in responses and responses[status] is None):
        if it.response_body and status in ("204", "304"):
            yield f"status {status} carries a body"
        return
    answer = _decoded(it.response_body)
    if it.status >= 300:
        problems = [error.message for error in _error_schema().iter_errors(answer)]
    else:
        problems = list(_problems(f"operations/{name}/responses/{status}", answer))
    for problem in problems:
        yield f"answer {status}: {problem}"


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _typed(schema: dict[str, Any], text: str) -> Any:
    """A query value as the type that its schema asks for."""
    kinds = schema.get("type")
    if kinds == "integer" and text.lstrip("-").isdecimal():
        return int(text)
    if kinds == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _problems(place: str, value: Any) -> Iterator[str]:
    for error in _validator(place).iter_errors(value):
        where = "/".join(str(part) for part in error.instance_path) or "(top)"
        yield f"{where}: {error.message[:600]}"


@cache
def _validator(place: str) -> Any:
    """A validator for a schema inside the reduced description; parts of a place are keys."""
    reduced = fetch.load()
    kind, _, rest = place.partition("/")
    schema: Any = reduced[kind]
    if kind == "operations":
        name = next(n for n in sorted(schema, key=len, reverse=True) if rest.startswith(n + "/"))
        schema, rest = schema[name], rest.removeprefix(name + "/")
        for key in rest.split("/"):
            schema = schema[key]
    else:
        schema = schema[rest]
    closed = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return jsonschema_rs.validator_for(
        closed | {"$defs": reduced["$defs"]}, validate_formats=True, mask="it"
    )


@cache
def _error_schema() -> Any:
    return jsonschema_rs.validator_for(_ERROR)
