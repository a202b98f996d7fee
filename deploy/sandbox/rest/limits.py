"""Rate limits: the hourly budget of each caller, and the secondary limits, which GitHub tells
with a Retry-After, or without any header.
"""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

from deploy.sandbox.rest.exchange import Refusal
from deploy.sandbox.world.state import World

HOUR = timedelta(hours=1)
SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
)


@dataclass
class Budget:
    """What one caller has used of its hour."""

    ends: float
    used: int = 0


@dataclass
class Secondary:
    """A secondary limit switched on: for so many requests, or until switched off.

    retry_after: seconds told to the caller, None for an answer without any header.
    """

    status: int = 403
    retry_after: int | None = 60
    times: int | None = None
    writes_only: bool = True


@dataclass
class Limits:
    """The limits in force. `exhausted` refuses callers until that time, as epoch seconds.

    whom: how the names of those begin who are refused by what was switched on ("installation" for
    Apps, "" for everybody).
    """

    world: World
    hourly: int = 5000
    anonymous_hourly: int = 60
    status: int = 403
    exhausted: float | None = None
    secondary: Secondary | None = None
    content_per_minute: int | None = None
    whom: str = ""
    _budgets: dict[str, Budget] = field(default_factory=dict)
    _writes: dict[str, deque[float]] = field(default_factory=dict)

    def budget(self, caller: str) -> Budget:
        """The running hour of a caller."""
        now = self.world.now().timestamp()
        budget = self._budgets.get(caller)
        if budget is None or budget.ends <= now:
            budget = self._budgets[caller] = Budget(now + HOUR.total_seconds())
        return budget

    def allowance(self, caller: str) -> int:
        """Requests a caller has an hour."""
        return self.anonymous_hourly if caller == "anonymous" else self.hourly

    def charge(self, caller: str, *, write: bool) -> None:
        """Count a request. Refusal 403 or 429 when a limit is hit."""
        meant = caller.startswith(self.whom)
        exhausted, budget = self._is_exhausted(), self.budget(caller)
        if (exhausted and meant) or budget.used >= self.allowance(caller):
            budget.used = max(budget.used, self.allowance(caller))
            raise Refusal(self.status, f"API rate limit exceeded for {caller}.")
        budget.used += 1
        if meant:
            self._charge_secondary(caller, write=write)

    def refund(self, caller: str) -> None:
        """A 304 costs nothing."""
        self.budget(caller).used -= 1

    def _is_exhausted(self) -> bool:
        if self.exhausted is not None and self.world.now().timestamp() >= self.exhausted:
            self.exhausted = None
            self._budgets.clear()
        return self.exhausted is not None

    def _charge_secondary(self, caller: str, *, write: bool) -> None:
        limit = self.secondary
        if limit is not None and (write or not limit.writes_only):
            if limit.times is not None:
                limit.times -= 1
                if limit.times <= 0:
                    self.secondary = None
            raise _too_fast(limit.status, limit.retry_after)
        if write and self.content_per_minute is not None:
            self._charge_content(caller, self.content_per_minute)

    def _charge_content(self, caller: str, most: int) -> None:
        now = time.monotonic()
        recent = self._writes.setdefault(caller, deque())
        while recent and recent[0] <= now - 60:
            recent.popleft()
        if len(recent) >= most:
            raise _too_fast(403, max(1, math.ceil(recent[0] + 60 - now)))
        recent.append(now)

    def exhaust(self, seconds: float, status: int = 403) -> None:
        """Use everybody's budget up; it comes back after so many seconds."""
        self.status = status
        self.exhausted = self.world.now().timestamp() + seconds

    def clear(self) -> None:
        """Back to GitHub's ordinary limits, with fresh budgets."""
        self.hourly, self.status, self.whom = 5000, 403, ""
        self.exhausted = self.secondary = self.content_per_minute = None
        self._budgets.clear()
        self._writes.clear()

    def headers(self, caller: str) -> dict[str, str]:
        """The x-ratelimit-* headers of an answer to this caller."""
        allowance, budget = self.allowance(caller), self.budget(caller)
        used = min(budget.used, allowance)
        refused = self.exhausted is not None and caller.startswith(self.whom)
        ends = self.exhausted if refused else budget.ends
        return {
            "x-ratelimit-limit": str(allowance),
            "x-ratelimit-remaining": str(allowance - used),
            "x-ratelimit-used": str(used),
            "x-ratelimit-reset": str(int(ends)),
            "x-ratelimit-resource": "core",
        }


def _too_fast(status: int, retry_after: int | None) -> Refusal:
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return Refusal(status, SECONDARY, headers=headers)
