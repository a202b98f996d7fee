"""`python -m deploy.sandbox` as a user starts it."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

from deploy.sandbox.remote import Remote
from deploy.sandbox.server import listen

COMMAND = [sys.executable, "-m", "deploy.sandbox"]


def test_it_tells_its_address_writes_the_key_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    key = tmp_path / "keys" / "app.pem"
    command = [*COMMAND, "--port", "0", "--private-key-out", str(key), "--app-id", "77"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        ready = json.loads(process.stdout.readline())
        remote = Remote(ready["url"])
        assert remote.control("GET", "/status")["app_id"] == ready["app_id"] == 77
        assert len(remote.open_samples()) == 8
        assert remote.labels(1) == []
        remote.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == b""
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "PRIVATE KEY" in key.read_text()


def test_a_port_in_use_is_one_clear_line() -> None:
    taken = listen("127.0.0.1", 0)
    taken.listen()
    port = str(taken.getsockname()[1])
    done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, check=False)
    taken.close()
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "in use" in done.stderr
