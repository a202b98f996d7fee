"""`python -m deploy.sandbox`: a stand-in GitHub on localhost, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from deploy.sandbox.seed import APP_ID
from deploy.sandbox.server import build, listen
from deploy.sandbox.standin import StandIn, key_pair


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8800, help="0 takes a free one")
    parser.add_argument(
        "--public-url", help="under which clients reach it, where a proxy stands before it"
    )
    parser.add_argument("--app-id", type=int, default=APP_ID)
    parser.add_argument("--webhook-url", default="", help="where the App receives webhooks")
    parser.add_argument("--webhook-secret", default="", help="or SANDBOX_WEBHOOK_SECRET")
    key = parser.add_mutually_exclusive_group()
    key.add_argument("--private-key-out", type=Path, help="make a key pair, write the PEM here")
    key.add_argument("--public-key", type=Path, help="the App's public key, PEM")
    return parser.parse_args()


def _public_key(arguments: argparse.Namespace) -> str | None:
    if arguments.public_key:
        return str(arguments.public_key.read_text(encoding="ascii"))
    private, public = key_pair()
    if arguments.private_key_out:
        path: Path = arguments.private_key_out
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(private, encoding="ascii")
    return public


def main() -> int:
    """Serve; prints one JSON line with the addresses once requests are answered."""
    arguments = _arguments()
    try:
        public_key = _public_key(arguments)
        sock = listen(arguments.host, arguments.port)
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 2
    url = f"http://{arguments.host}:{sock.getsockname()[1]}"
    standin = StandIn(
        arguments.public_url or url,
        public_key,
        app_id=arguments.app_id,
        webhook_url=arguments.webhook_url,
        webhook_secret=arguments.webhook_secret or os.environ.get("SANDBOX_WEBHOOK_SECRET", ""),
    )
    ready = {"url": url, "api_url": f"{url}/api/v3", "app_id": standin.app.id}
    standin.on_start.append(lambda: print(json.dumps(ready), flush=True))  # noqa: T201
    # uvicorn raises the signal again when it has stopped; to be told to end is no failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    sock.listen(128)
    asyncio.run(build(standin).serve(sockets=[sock]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
