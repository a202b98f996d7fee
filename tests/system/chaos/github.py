"""The stand-in GitHub as a process of its own, with a fault proxy on either side of it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.taxonomy import DEFAULT_TAXONOMY
from deploy.sandbox.remote import Remote
from tests.system.chaos.proxy import Proxy

SECRET = "a secret between two processes in a storm"
OWNERS = ("amber", "birch", "cedar", "dune")
# People with rights; authors have none.
MAINTAINERS = ("mara", "noor")
AUTHORS = ("rita", "sam", "tess", "uwe", "vera")


@dataclass
class GitHub:
    """What storms and faults act on. `api` is the way of Triora to it, `hooks` the way back."""

    remote: Remote
    api: Proxy
    hooks: Proxy
    key: Path
    app_id: int
    repositories: list[str]
    # People do nothing while a repository gets another name: they use the name they see.
    acting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def api_url(self) -> str:
        """Where Triora finds the API: behind the proxy."""
        return f"http://127.0.0.1:{self.api.port}/api/v3"

    def books(self) -> list[dict[str, Any]]:
        """Every issue with its history, as the stand-in has it."""
        return self.remote.books()

    def journal(self) -> list[dict[str, Any]]:
        """Every request that reached it."""
        return self.remote.requests()


@contextmanager
def github(directory: Path, receiver: int, seed: int) -> Iterator[GitHub]:
    """A stand-in with an installation for each of OWNERS, whose webhooks go to port `receiver`."""
    hooks = Proxy(receiver, seed)
    api = Proxy(0, seed + 1)
    key = directory / "app.pem"
    command = [
        *(sys.executable, "-m", "deploy.sandbox", "--port", "0"),
        *("--public-url", f"http://127.0.0.1:{api.port}", "--webhook-secret", SECRET),
        *("--webhook-url", f"http://127.0.0.1:{hooks.port}/webhooks/github"),
        *("--private-key-out", str(key)),
    ]
    with (
        contextlib.closing(hooks),
        contextlib.closing(api),
        subprocess.Popen(command, stdout=subprocess.PIPE, process_group=0) as process,
    ):
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            api.target = int(ready["url"].rpartition(":")[2])
            with contextlib.closing(Remote(ready["url"])) as remote:
                named = _people_the_world(remote)
                yield GitHub(remote, api, hooks, key, ready["app_id"], named)
        finally:
            process.send_signal(signal.SIGKILL)


def _people_the_world(remote: Remote) -> list[str]:
    for login in (*MAINTAINERS, *AUTHORS):
        remote.control("POST", "/people", json={"login": login})
    # Half of the repositories have the labels already, the others get them from us.
    ours = [label.github for d in DEFAULT_TAXONOMY.written for label in d.labels]
    named = []
    for number, owner in enumerate(OWNERS):
        name = f"{owner}/game"
        roles = dict.fromkeys(MAINTAINERS, "maintain")
        wanted = {"full_name": name, "roles": roles, "labels": ours if number % 2 else ["wontfix"]}
        remote.control("POST", "/repositories", json=wanted)
        remote.control("POST", "/installations", json={"account": owner})
        named.append(name)
    # Nothing was promised before the first webhook that somebody could take.
    remote.settle()
    return named
