"""Play a stand-in from outside: people act through REST, owners and harnesses through control."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx

PROJECT = "lantern-works/emberfall"


class Remote:
    """A running stand-in by its address. Every call raises httpx.HTTPStatusError on an error."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.api_url = f"{url}/api/v3"
        self._http = httpx.Client(
            base_url=url,
            headers={"user-agent": "sandbox-remote"},
            trust_env=False,
            timeout=60,
            # Reading the system's authorities takes longer than most tests, and nobody is asked.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )
        self._tokens: dict[str, str] = {}

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # The two doors

    def control(self, method: str, path: str, **options: Any) -> Any:
        """A request to the control API; the JSON of its answer."""
        response = self._http.request(method, f"/_sandbox{path}", **options)
        response.raise_for_status()
        return response.json() if response.content else None

    def token_of(self, login: str) -> str:
        """A personal token of somebody."""
        if login not in self._tokens:
            path = f"/people/{quote(login, safe='')}/token"
            self._tokens[login] = self.control("GET", path)["token"]
        return self._tokens[login]

    def rest(self, method: str, path: str, *, by: str = "mara", **options: Any) -> Any:
        """A REST request in somebody's name; the JSON of its answer."""
        headers = {"authorization": f"Bearer {self.token_of(by)}"}
        response = self._http.request(method, f"/api/v3{path}", headers=headers, **options)
        response.raise_for_status()
        return response.json() if response.content else None

    # People

    def open_issue(
        self,
        title: str = "The lantern goes out",
        body: str = "It happens every time I open the map.",
        *,
        by: str = "rita",
        labels: Sequence[str] = (),
        repository: str = PROJECT,
    ) -> dict[str, Any]:
        """Open an issue; its JSON."""
        wanted = {"title": title, "body": body, "labels": list(labels)}
        opened: dict[str, Any] = self.rest(
            "POST", f"/repos/{repository}/issues", by=by, json=wanted
        )
        return opened

    def open_from_template(
        self, title: str, *labels: str, by: str = "rita", repository: str = PROJECT
    ) -> dict[str, Any]:
        """Open an issue whose template sets labels in the author's name."""
        wanted = {"title": title, "author": by, "labels": list(labels)}
        path = f"/repositories/{repository}/issues"
        opened: dict[str, Any] = self.control("POST", path, json=wanted)
        return opened

    def edit_issue(
        self, number: int, *, by: str = "rita", repository: str = PROJECT, **changes: Any
    ) -> dict[str, Any]:
        """Change title, body, state or labels."""
        path = f"/repos/{repository}/issues/{number}"
        changed: dict[str, Any] = self.rest("PATCH", path, by=by, json=changes)
        return changed

    def label(self, number: int, *names: str, by: str = "mara", repository: str = PROJECT) -> None:
        """Add labels."""
        path = f"/repos/{repository}/issues/{number}/labels"
        self.rest("POST", path, by=by, json={"labels": list(names)})

    def unlabel(self, number: int, name: str, by: str = "mara", repository: str = PROJECT) -> None:
        """Take a label off."""
        path = f"/repos/{repository}/issues/{number}/labels/{quote(name, safe='')}"
        self.rest("DELETE", path, by=by)

    def comment(
        self, number: int, body: str, *, by: str = "mara", repository: str = PROJECT
    ) -> dict[str, Any]:
        """Say something."""
        path = f"/repos/{repository}/issues/{number}/comments"
        said: dict[str, Any] = self.rest("POST", path, by=by, json={"body": body})
        return said

    def close_issue(
        self,
        number: int,
        *,
        by: str = "mara",
        reason: str = "completed",
        repository: str = PROJECT,
    ) -> None:
        """Close an issue: completed, not_planned or duplicate."""
        change = {"state": "closed", "state_reason": reason}
        self.edit_issue(number, by=by, repository=repository, **change)

    def relay(self, number: int, *, repository: str = PROJECT, **what: Any) -> None:
        """Let another App act: add, remove (labels), close; `by` a person, as itself without."""
        wanted = {"repository": repository, "number": number, **what}
        self.control("POST", "/relays", json=wanted)

    def rename_label(
        self, name: str, new: str, *, by: str = "mara", repository: str = PROJECT
    ) -> None:
        """Rename a label of the repository."""
        path = f"/repos/{repository}/labels/{quote(name, safe='')}"
        self.rest("PATCH", path, by=by, json={"new_name": new})

    def delete_label(self, name: str, *, by: str = "mara", repository: str = PROJECT) -> None:
        """Delete a label of the repository."""
        self.rest("DELETE", f"/repos/{repository}/labels/{quote(name, safe='')}", by=by)

    def labels(self, number: int, repository: str = PROJECT) -> list[str]:
        """The names of an issue's labels."""
        path = f"/repos/{repository}/issues/{number}/labels?per_page=100"
        return [label["name"] for label in self.rest("GET", path)]

    def events(self, number: int, repository: str = PROJECT) -> list[dict[str, Any]]:
        """What happened to an issue."""
        path = f"/repos/{repository}/issues/{number}/events?per_page=100"
        found: list[dict[str, Any]] = self.rest("GET", path)
        return found

    # Faults, limits, tokens, time

    def fault(self, route: str, kind: str, **options: Any) -> dict[str, Any]:
        """Switch a fault on: `fault("POST /repos/*/*/issues/*/labels", "drop-after")`."""
        wanted = {"route": route, "kind": kind, **options}
        made: dict[str, Any] = self.control("POST", "/faults", json=wanted)
        return made

    def clear_faults(self) -> None:
        """Switch all faults and special limits off."""
        self.control("DELETE", "/faults")
        self.control("DELETE", "/limits")

    def limit(self, **wanted: Any) -> None:
        """Change the rate limits: whom, hourly, exhaust_seconds, secondary, content_per_minute."""
        self.control("POST", "/limits", json=wanted)

    def revoke_tokens(self) -> None:
        """Revoke every installation token."""
        self.control("POST", "/tokens/revoke")

    def token_lifetime(self, seconds: float) -> None:
        """How long installation tokens made from now on live."""
        self.control("PUT", "/tokens", json={"lifetime_seconds": seconds})

    def skew(self, seconds: float) -> None:
        """Put the stand-in's clock ahead of ours."""
        self.control("PUT", "/clock", json={"skew_seconds": seconds})

    def requests(self, method: str | None = None, route: str | None = None) -> list[dict[str, Any]]:
        """The journal: every REST request so far, without this object's control calls."""
        wanted = {"method": method, "route": route}
        params = {name: value for name, value in wanted.items() if value}
        lines: list[dict[str, Any]] = self.control("GET", "/requests", params=params)
        return lines

    def books(self) -> list[dict[str, Any]]:
        """Every issue there is now, with its events and the answers that its webhook got."""
        entries: list[dict[str, Any]] = self.control("GET", "/books")
        return entries

    # Webhook

    def hook(self, **changes: Any) -> None:
        """Change the webhook: url, secret, active, timeout, lose, duplicate, delay, seed."""
        self.control("PUT", "/hook", json=changes)

    def deliveries(self) -> list[dict[str, Any]]:
        """Every delivery that is over, oldest first."""
        found: list[dict[str, Any]] = self.control("GET", "/deliveries")
        return found

    def settle(self, within: float = 30.0) -> None:
        """Wait until no delivery is under way."""
        self.control("POST", "/settle", params={"within": within})

    # Owners

    def put_file(self, path: str, text: str, repository: str = PROJECT) -> None:
        """Write a file on the default branch."""
        self.control("PUT", f"/repositories/{repository}/files/{path}", content=text.encode())

    def change_repository(self, repository: str = PROJECT, **changes: Any) -> dict[str, Any]:
        """Rename (name), transfer (owner), or switch has_issues, private, suggestions, roles."""
        changed: dict[str, Any] = self.control("PATCH", f"/repositories/{repository}", json=changes)
        return changed

    def change_installation(self, installation_id: int, **changes: Any) -> dict[str, Any]:
        """Suspend, add or remove repositories, change permissions."""
        path = f"/installations/{installation_id}"
        changed: dict[str, Any] = self.control("PATCH", path, json=changes)
        return changed

    def open_samples(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Open the sample reports."""
        opened: list[dict[str, Any]] = self.control("POST", "/samples", json={"limit": limit})
        return opened
