"""Faults that can be switched on per route: what the network and a bad day do to an API."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from deploy.sandbox.rest.routing import compile_template


class Kind(StrEnum):
    """What goes wrong."""

    STATUS = "status"  # an error answer, nothing applied
    DELAY = "delay"  # the answer comes late
    DROP = "drop"  # the connection closes, nothing applied
    RESET = "reset"  # the connection is reset, nothing applied
    DROP_AFTER = "drop-after"  # applied, then the connection closes without an answer
    TRUNCATE = "truncate"  # applied, then half an answer and the connection closes

    @property
    def before(self) -> bool:
        """True when nothing is applied."""
        return self in (Kind.STATUS, Kind.DROP, Kind.RESET)


@dataclass
class Fault:
    """One fault on one route.

    route: "POST /repos/*/*/issues/*/labels"; `*` or a `{name}` stands for one part of the path,
    a method of `*` for all. times: how many requests it hits, None until switched off. skip: how
    many it lets pass first.
    """

    id: int
    route: str
    kind: Kind
    times: int | None = 1
    skip: int = 0
    status: int = 502
    body: str = "<html><body><h1>502 Bad Gateway</h1></body></html>"
    seconds: float = 0.0
    hits: int = 0
    _pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        path = self.route.partition(" ")[2]
        if not path.startswith("/"):
            raise ValueError(f"a route reads 'POST /repos/*/*/issues', not {self.route!r}")
        parts = re.sub(r"\*\*", "{path}", path)
        names = itertools.count()
        parts = re.sub(r"\*", lambda _: f"{{any{next(names)}}}", parts)
        self._pattern = compile_template(parts)

    def strikes(self, method: str, path: str) -> bool:
        """True when this request is hit; counts it."""
        wanted = self.route.partition(" ")[0]
        if wanted not in ("*", method) or not self._pattern.fullmatch(path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.hits += 1
        return True

    @property
    def spent(self) -> bool:
        """True when it will hit nothing any more."""
        return self.times is not None and self.hits >= self.times

    def shown(self) -> dict[str, Any]:
        """For the control API."""
        return {
            "id": self.id,
            "route": self.route,
            "kind": self.kind,
            "times": self.times,
            "skip": self.skip,
            "status": self.status,
            "seconds": self.seconds,
            "hits": self.hits,
        }


class Faults:
    """The faults switched on."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self.active: list[Fault] = []

    def add(self, route: str, kind: str, **options: Any) -> Fault:
        """Switch one on. ValueError for a route or kind that means nothing."""
        fault = Fault(next(self._ids), route, Kind(kind), **options)
        self.active.append(fault)
        return fault

    def remove(self, fault_id: int) -> None:
        """Switch one off."""
        self.active = [fault for fault in self.active if fault.id != fault_id]

    def clear(self) -> None:
        """Switch all off."""
        self.active.clear()

    def strike(self, method: str, path: str) -> tuple[float, Fault | None]:
        """What hits a request: seconds of delay, and at most one other fault."""
        seconds, chosen = 0.0, None
        for fault in list(self.active):
            if chosen is not None and fault.kind is not Kind.DELAY:
                continue
            if fault.strikes(method, path):
                if fault.kind is Kind.DELAY:
                    seconds += fault.seconds
                else:
                    chosen = fault
            if fault.spent:
                self.active.remove(fault)
        return seconds, chosen
