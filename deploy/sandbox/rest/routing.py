"""Routes in GitHub's own words, and the call that a route's function gets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode

from deploy.sandbox.rest.auth import NOT_BY_INTEGRATION, Actor, Tokens, check_role
from deploy.sandbox.rest.exchange import Refusal, Reply, invalid, not_found
from deploy.sandbox.world.acts import Act
from deploy.sandbox.world.model import Issue, Repository, Role
from deploy.sandbox.world.state import World

T = TypeVar("T")
LARGEST_PAGE = 100
# Who may call a route: anybody, the App by its JWT, or an installation or person by a token.
ANYBODY, APP, TOKEN = "anybody", "app", "token"


@dataclass(frozen=True)
class Call:
    """A request that found its route: who asks for what."""

    world: World
    tokens: Tokens
    actor: Actor
    path: str
    params: dict[str, str]
    query: dict[str, str]
    raw_body: bytes

    @property
    def act(self) -> Act:
        """Acts in the name of the caller."""
        if self.actor.account is None:
            raise Refusal(401, "Requires authentication")
        via = self.actor.app if self.actor.installation else None
        return Act(self.world, self.actor.account, via)

    def body(self) -> Any:
        """The request's JSON; {} when there is none. Refusal 400 when it is not JSON."""
        if not self.raw_body:
            return {}
        try:
            return json.loads(self.raw_body)
        except ValueError as error:
            raise Refusal(400, "Problems parsing JSON") from error

    def fields(self) -> dict[str, Any]:
        """The request's JSON object. Refusal 400 for anything else."""
        data = self.body()
        if not isinstance(data, dict):
            raise Refusal(400, "Body should be a JSON object")
        return data

    # What the path names

    def repository(self, permission: str = "metadata", level: str = "read") -> Repository:
        """The repository of the path, if the caller may do this to it.

        404 when it does not exist for the caller, 301 when it moved, 403 when permission lacks.
        """
        owner, name = self.params["owner"], self.params["repo"]
        found = self.world.repository(owner, name)
        if found is None:
            self.redirect(owner, name)
        if found is None or not self.actor.sees(found):
            raise not_found()
        self._check(found, permission, level)
        return found

    def redirect(self, owner: str, name: str) -> None:
        """Refuse with 301 when the repository moved, with 404 otherwise."""
        moved = self.world.moved_to(owner, name)
        if moved is None or not self.actor.sees(moved):
            raise not_found()
        rest = self.path.split("/", 4)[4:]
        raise _moved(self.world, "/".join([f"/repositories/{moved.id}", *rest]), self.query)

    def _check(self, repository: Repository, permission: str, level: str) -> None:
        if self.actor.installation is None:
            return
        scoped = self.actor.in_scope(repository)
        if level == "read" and not repository.private and not scoped:
            return
        if not scoped or not self.actor.granted(permission, level):
            raise Refusal(403, NOT_BY_INTEGRATION)

    def need_role(self, repository: Repository, least: Role) -> None:
        """For people: refuse a weaker role. Installations were judged by their permissions."""
        if self.actor.installation is None:
            check_role(self.actor, repository, least)

    def issue(self, level: str = "read") -> Issue:
        """The issue of the path. 404, 301 when transferred, 410 when deleted or issues are off."""
        repository = self.repository("issues", level)
        if not repository.has_issues:
            raise Refusal(410, "Issues are disabled for this repo")
        number = int(self.params["issue_number"])
        if number in repository.gone:
            moved = repository.gone[number]
            if moved is None:
                raise Refusal(410, "This issue was deleted")
            rest = self.path.split("/", 6)[6:]
            target = f"/repositories/{moved.repository.id}/issues/{moved.number}"
            raise _moved(self.world, "/".join([target, *rest]), self.query)
        if number not in repository.issues:
            raise not_found()
        return repository.issues[number]

    # Lists

    def integer(self, name: str, default: int, highest: int | None = None) -> int:
        """A whole number of the query, at least 1."""
        text = self.query.get(name, "")
        number = int(text) if text.isdecimal() and int(text) > 0 else default
        return number if highest is None else min(number, highest)

    def since(self) -> datetime | None:
        """The `since` of the query as aware UTC. Refusal 422 when it is no time."""
        text = self.query.get("since")
        if not text:
            return None
        try:
            time = datetime.fromisoformat(text)
        except ValueError as error:
            raise invalid("Search", "since", value=text) from error
        return time if time.tzinfo else time.replace(tzinfo=UTC)

    def paged(self, items: Iterable[T], shape: Callable[[T], Any], key: str = "") -> Reply:
        """One page of a list with its Link header; under `key` with a total, if one is given."""
        everything = list(items)
        size, number = self.integer("per_page", 30, LARGEST_PAGE), self.integer("page", 1)
        last = max(1, -(-len(everything) // size))
        shown = [shape(item) for item in everything[(number - 1) * size : number * size]]
        pages: dict[str, int] = {}
        if number > 1:
            pages |= {"prev": min(number - 1, last), "first": 1}
        if number < last:
            pages |= {"next": number + 1, "last": last}
        headers = {"link": self.link({k: {"page": str(v)} for k, v in pages.items()})}
        data: Any = {"total_count": len(everything), key: shown} if key else shown
        return Reply(data=data, headers=headers if pages else {})

    def link(self, targets: dict[str, dict[str, str]]) -> str:
        """A Link header: relation -> query parameters that differ from this call's."""
        base = f"{self.world.base_url}/api/v3{self.path}"
        return ", ".join(
            f'<{base}?{urlencode(self.query | changes)}>; rel="{relation}"'
            for relation, changes in targets.items()
        )


def _moved(world: World, path: str, query: dict[str, str]) -> Refusal:
    suffix = f"?{urlencode(query)}" if query else ""
    url = f"{world.base_url}/api/v3{path}{suffix}"
    return Refusal(301, "Moved Permanently", headers={"location": url}, extra={"url": url})


Function = Callable[[Call], Reply]


@dataclass(frozen=True)
class Route:
    """A method and path template, who may call it, and what answers."""

    method: str
    template: str
    caller: str
    function: Function
    pattern: re.Pattern[str]


class Routes:
    """A table of routes; the most literal template wins."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def __iter__(self) -> Any:
        return iter(self._routes)

    def add(
        self, method: str, template: str, caller: str = TOKEN
    ) -> Callable[[Function], Function]:
        """Decorator: this function answers that method and template."""

        def keep(function: Function) -> Function:
            pattern = compile_template(template)
            self._routes.append(Route(method, template, caller, function, pattern))
            self._routes.sort(key=lambda route: route.template.count("{"))
            return function

        return keep

    def include(self, other: Routes) -> None:
        """Take over another table."""
        self._routes += list(other)
        self._routes.sort(key=lambda route: route.template.count("{"))

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a percent-encoded path and its decoded parameters."""
        for route in self._routes:
            match = route.pattern.fullmatch(raw_path) if route.method == method else None
            if match:
                return route, {name: unquote(text) for name, text in match.groupdict().items()}
        return None

    def methods(self, raw_path: str) -> set[str]:
        """The methods a path answers to."""
        return {r.method for r in self._routes if r.pattern.fullmatch(raw_path)}


def compile_template(template: str) -> re.Pattern[str]:
    """`/repos/{owner}/{repo}` as a pattern; `{path}` spans slashes, ids and numbers are digits."""

    def group(match: re.Match[str]) -> str:
        name = match[1]
        if name == "path":
            return f"(?P<{name}>.+)"
        return f"(?P<{name}>" + (r"\d+)" if name.endswith(("_id", "_number")) else "[^/]+)")

    return re.compile(re.sub(r"\\\{(\w+)\\\}", group, re.escape(template)))
