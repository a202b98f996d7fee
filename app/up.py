"""Everything on one machine: receiver, triage, label writer with scheduler, training, broker.

Supervisor (another library's work) keeps the processes running; this module decides which, makes
sure that there is one `triora up` a DATA_DIR, and ends what a killed one left behind.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import structlog

from app import broker, pidfile
from app.core.errors import EXIT_PROBLEM, ConfigProblem
from app.core.settings import PREFIX, Settings
from app.github.signing import read_key
from app.listening import listen
from app.supervise import say

log = structlog.get_logger()

STRAY_SECONDS = 10.0
# A worker finishes its batch first; what it cannot finish, its lease hands to the next one.
STOP_SECONDS = 40
# A process that ends sooner did not start; after so many more tries everything ends.
START_SECONDS = 3
START_RETRIES = 3


@dataclass(frozen=True)
class Program:
    """One process: its arguments, and when it starts and (in reverse) stops."""

    name: str
    arguments: tuple[str, ...]
    order: int


def programs(settings: Settings) -> list[Program]:
    """The processes of one machine. The broker only when BROKER_URL names none."""
    triora = str(Path(sys.executable).with_name("triora"))
    listen = ("--host", settings.host, "--port", str(settings.port))
    ours = [
        Program("triage", (triora, "worker", "--queue", "triage"), 20),
        # The scheduler is a thread of the label writer, which mostly waits.
        Program(
            "labels", (triora, "worker", "--queue", "label", "--queue", "upkeep", "--beat"), 20
        ),
        Program("receiver", (triora, "serve", *listen), 30),
    ]
    if importlib.util.find_spec("datasets") is not None:
        # Installed with training; it loads nothing until a retraining is due.
        ours.append(Program("training", (triora, "worker", "--queue", "train"), 20))
    if settings.broker_url is None:
        ours.insert(0, Program("broker", tuple(broker.command(settings)), 10))
    return ours


def check(settings: Settings) -> None:
    """ConfigProblem for what would only show later, in the log of a process."""
    _ = settings.require_app_id, read_key(settings.private_key_pem), settings.webhook_secrets
    if settings.broker_url is not None:
        broker.require_answer(settings.broker_url)
    if importlib.util.find_spec("torch") is None:
        raise ConfigProblem("the worker is not installed: pip install 'triora[worker]'")


def claim(settings: Settings) -> Settings:
    """Become the one `triora up` of DATA_DIR, and end what a killed one left running.

    Returns the settings with the port to listen on. ConfigProblem, and nothing is ended, if there
    is one already, a `triora serve` or `worker` uses the broker, or somebody else has the port.
    """
    run = run_directory(settings)
    try:
        pidfile.take(run / "up.pid")
    except pidfile.Held as error:
        raise ConfigProblem(
            f"`triora up` already runs on {settings.data_dir} (process {error.pid}): end that one, "
            f"or choose another {PREFIX}DATA_DIR"
        ) from error
    users = broker.join_alone(settings)
    if pidfile.holder(run / "receiver.pid") is None:
        # No receiver of ours is left over, so whoever has the port keeps it.
        listen(settings).close()
    _end_strays(run)
    broker.let_in(users)
    if settings.broker_url is None:
        # Supervisor inherits it, and counts as a user of the broker for as long as it lives.
        os.set_inheritable(users, True)
    else:
        os.close(users)
    # The receiver is started again on the same port, so a free one is chosen here.
    with listen(settings) as probe:
        return settings.model_copy(update={"port": probe.getsockname()[1]})


def _end_strays(run: Path) -> None:
    for path in sorted(run.glob("*.pid")):
        if path.name == "up.pid":
            continue
        pid = pidfile.end(path, STRAY_SECONDS)
        if pid is not None:
            say("up", f"ended {path.stem} (process {pid}), left over from a run that was killed")


def become_supervisor(settings: Settings, environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by Supervisor. `claim` comes first: its locks live on."""
    path = run_directory(settings) / "supervisor" / "supervisord.conf"
    path.parent.mkdir(exist_ok=True)
    path.write_text(render(settings), encoding="utf-8")
    os.execve(  # noqa: S606 (no shell is wanted)
        sys.executable,
        [sys.executable, "-m", "app.supervise", str(path)],
        # The processes are told where the broker is, so that none of them starts one.
        {**environment, f"{PREFIX}BROKER_URL": settings.celery_broker_url},
    )


def run_directory(settings: Settings) -> Path:
    """Where pid files and the supervisor's configuration lie."""
    directory = settings.data_dir.resolve() / "run"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def render(settings: Settings) -> str:
    """Configuration of Supervisor for `programs`."""
    run = run_directory(settings)
    head = f"""[supervisord]
nodaemon = true
silent = true
logfile = {_plain(run / "supervisor" / "supervisord.log")}
logfile_maxbytes = 1MB
logfile_backups = 1
pidfile = {_plain(run / "supervisor" / "supervisord.pid")}
childlogdir = {_plain(run / "supervisor")}
"""
    return head + "".join(_section(program, run) for program in programs(settings))


def _section(program: Program, run: Path) -> str:
    launched = (sys.executable, "-m", "app.launch", str(run / f"{program.name}.pid"))
    return f"""
[program:{program.name}]
command = {" ".join(_quoted(part) for part in (*launched, *program.arguments))}
priority = {program.order}
autorestart = unexpected
exitcodes = {EXIT_PROBLEM}
startsecs = {START_SECONDS}
startretries = {START_RETRIES}
stopwaitsecs = {STOP_SECONDS}
stopasgroup = true
killasgroup = true
redirect_stderr = true
stdout_logfile = NONE
stdout_events_enabled = true
"""


def _quoted(text: str) -> str:
    # Supervisor expands % and then splits as a shell does; its comments begin with " ;".
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _plain(path: Path) -> str:
    return str(path).replace("%", "%%")
