"""Every setting of Triora, read once at an entry point from TRIORA_* and an optional file."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.errors import ConfigProblem

PREFIX = "TRIORA_"
SOCKET_BYTES = 103
# What GitHub bears of requests that make content; labels are counted as if they were content.
WRITES_PER_HOUR = 500


class Settings(BaseSettings):
    """Read from the environment (prefix `TRIORA_`) and from `.env` in the working directory.

    Build it with `load()`, which turns a wrong value into one clear line.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    # GitHub
    app_id: int | None = Field(default=None, description="numeric id of the GitHub App")
    private_key: SecretStr | None = Field(
        default=None, description="the App's private key: PEM text, or the path of a PEM file"
    )
    webhook_secret: SecretStr | None = Field(default=None, description="secret of the webhook")
    webhook_secret_previous: SecretStr | None = Field(
        default=None, description="the secret before, still accepted during a rotation"
    )
    github_api_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("https://api.github.com"),
        description="https://HOST/api/v3 for GitHub Enterprise Server",
    )

    # Where things are kept
    data_dir: Path = Field(default=Path(".triora"), description="database, broker and weights")
    database_url: str | None = Field(
        default=None, description="postgresql+psycopg://…; SQLite in DATA_DIR without it"
    )
    broker_url: str | None = Field(
        default=None, description="redis://…; an embedded Valkey in DATA_DIR without it"
    )

    # The model
    model: str = Field(
        default="smollm2-135m", description="preset name, or id or path of a causal language model"
    )
    adapter: str | None = Field(
        default=None,
        description="path of a LoRA adapter, or 'none'; the shipped one by default",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where the model runs; auto takes a GPU if there is one"
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="least probability written, for every label; the model's own, or 0.5, without",
    )

    model_store: str | None = Field(
        default=None,
        description="where model versions are kept: a directory, or s3://BUCKET/PATH and whatever "
        "else fsspec reaches; a directory in DATA_DIR without it",
    )
    adapters_in_memory: int = Field(
        default=8, ge=1, le=1000, description="model versions a worker holds ready at once"
    )
    rollback_level: float = Field(
        default=0.01,
        ge=0,
        le=0.5,
        description="error probability at which a version that people override more often than "
        "the one before is rolled back; 0 never does",
    )
    rollback_labels: int = Field(
        default=20, ge=5, description="labels each of the two has to have written before that"
    )

    # Retraining
    retraining_config: str | None = Field(
        default=None,
        description="how retrainings train: a configuration's name, or a .toml file; the model's "
        "own without",
    )
    retraining_start: Literal["active", "base"] = Field(
        default="active",
        description="what a retraining goes on from: the active version's adapter, or the base",
    )
    retraining_replay: Path | None = Field(
        default=None,
        description="labelled reports (JSON Lines) that every retraining sees again, so that "
        "nothing is forgotten; their text then shapes the model of every repository",
    )
    retraining_rows: int = Field(
        default=4000, ge=100, description="most reports a retraining learns from, and most replayed"
    )
    retraining_threads: int | None = Field(
        default=None, ge=1, description="threads of a retraining; half of the cores without"
    )
    retraining_niceness: int = Field(
        default=19,
        ge=0,
        le=19,
        description="how far a retraining steps back for others; 19 takes only idle cores",
    )

    # The work
    batch_size: int = Field(default=16, ge=1, le=256, description="issues a worker claims at once")
    lease_seconds: int = Field(default=300, ge=10, description="how long a claim holds")
    max_attempts: int = Field(default=8, ge=1, description="tries before a row is dead")
    retry_seconds: float = Field(
        default=2.0,
        gt=0,
        description="wait before a failed row is tried again; four times longer each time",
    )
    grace_seconds: float = Field(
        default=0.0,
        ge=0,
        description="wait after an issue is opened or edited before it is triaged",
    )
    write_spacing_seconds: float = Field(
        default=1.0,
        ge=0,
        description="pause after each write to GitHub; it asks for 1 s, less only for a stand-in",
    )
    writes_per_hour: int | None = Field(
        default=None,
        ge=1,
        description="most writes to GitHub for one installation within any hour; 500 without, and "
        "no limit for a stand-in (a spacing under 1 s)",
    )
    config_seconds: float = Field(
        default=300.0, ge=1, description="how often a repository's .github/triora.yml is read again"
    )
    corrections_per_hour: int = Field(
        default=120,
        ge=1,
        description="corrections by one person within an hour that teach; further ones are kept",
    )
    corrections_per_day: int = Field(default=400, ge=1, description="the same within any 24 hours")
    installation_backlog: int = Field(
        default=2000,
        ge=1,
        description="issues of an installation whose labels wait to be written; its further ones "
        "are kept and wait to be scored",
    )
    backfill_per_hour: float = Field(
        default=400,
        gt=0,
        description="old issues that a backfill takes in; GitHub bears 500 writes an hour",
    )
    sweep_seconds: float = Field(default=5.0, gt=0, description="how often due work is looked for")
    redelivery_seconds: float = Field(
        default=300.0, gt=0, description="how often GitHub is asked for deliveries that failed"
    )
    absence_hours: float = Field(
        default=24.0,
        gt=0,
        le=60,
        description="after so long without word from GitHub, open issues nobody told us of are "
        "looked for; it keeps failed deliveries for 72",
    )
    retention_days: float = Field(
        default=30.0,
        ge=0,
        description="how long the texts of a repository are kept after the App left it",
    )

    host: str = Field(default="127.0.0.1", description="address the receiver listens on")
    port: int = Field(default=8000, ge=0, le=65535, description="port the receiver listens on")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="least level of a line in the log"
    )

    @field_validator("broker_url")
    @classmethod
    def _check_broker_url(cls, url: str | None) -> str | None:
        # Never quoted in a message: there may be a password in it.
        if url is None:
            return url
        scheme, marked, _ = url.partition("://")
        if not marked or scheme not in ("redis", "rediss", "redis+socket"):
            raise ValueError(
                "write redis://HOST:6379/0, rediss://HOST:6379/0 or redis+socket:///path"
            )
        if scheme == "redis+socket":
            return url
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise ValueError("the port is not a number (in a password write %40 for @)") from None
        if parts.path.strip("/") and not parts.path[1:].isdecimal():
            raise ValueError("what follows the port is the number of a database, as in /0")
        return url

    @property
    def webhook_secrets(self) -> tuple[bytes, ...]:
        """The accepted webhook secrets, newest first. ConfigProblem without one."""
        kept = [
            s.get_secret_value().encode()
            for s in (self.webhook_secret, self.webhook_secret_previous)
            if s is not None
        ]
        if not kept:
            raise ConfigProblem(
                f"{PREFIX}WEBHOOK_SECRET is not set: put the secret of the App's webhook there"
            )
        return tuple(kept)

    @property
    def private_key_pem(self) -> str:
        """The PEM text of the App's key, read from the file when the setting is a path."""
        if self.private_key is None:
            raise ConfigProblem(
                f"{PREFIX}PRIVATE_KEY is not set: put the App's PEM text there, or its file's path"
            )
        value = self.private_key.get_secret_value()
        if value.lstrip().startswith("-----BEGIN"):
            # One-line environments carry the line breaks as \n.
            return value.replace("\\n", "\n")
        try:
            return Path(value).expanduser().read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigProblem(
                f"{PREFIX}PRIVATE_KEY is neither PEM text nor a readable file: "
                f"{type(error).__name__}"
            ) from error

    @property
    def require_app_id(self) -> int:
        """The App's id. ConfigProblem without one."""
        if self.app_id is None:
            raise ConfigProblem(f"{PREFIX}APP_ID is not set: it stands on the App's settings page")
        return self.app_id

    @property
    def api_url(self) -> str:
        """Base of GitHub's REST API, without a trailing slash."""
        return str(self.github_api_url).rstrip("/")

    @property
    def write_budget(self) -> int | None:
        """Most writes for one installation within any hour; None for a stand-in without a limit."""
        if self.writes_per_hour is None and self.write_spacing_seconds >= 1:
            return WRITES_PER_HOUR
        return self.writes_per_hour

    @property
    def sql_url(self) -> str:
        """SQLAlchemy URL of the database."""
        if self.database_url:
            return self.database_url
        path = str(self.data_dir.resolve() / "triora.db")
        # The two characters that mean something in the path of such a URL.
        return "sqlite:///" + path.replace("%", "%25").replace("?", "%3F")

    @property
    def model_store_url(self) -> str:
        """Where model versions are kept, as fsspec takes it."""
        return self.model_store or str(self.data_dir.resolve() / "models" / "versions")

    @property
    def model_cache(self) -> Path:
        """Where adapters out of the model store stand unpacked on this machine."""
        return self.data_dir.resolve() / "models" / "fetched"

    @property
    def broker_socket(self) -> Path:
        """Unix socket of the embedded Valkey.

        In DATA_DIR, or, where that path is too long for a socket (107 bytes on Linux, 103 on
        macOS), in a directory of this user under the temporary directory.
        """
        directory = self.data_dir.resolve()
        beside = directory / "valkey.sock"
        if len(os.fsencode(beside)) <= SOCKET_BYTES:
            return beside
        name = f"{hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]}.sock"
        private = f"triora-{os.getuid()}"
        short = Path(tempfile.gettempdir()) / private / name
        return short if len(os.fsencode(short)) <= SOCKET_BYTES else Path("/tmp") / private / name  # noqa: S108

    @property
    def celery_broker_url(self) -> str:
        """Broker URL as Celery takes it."""
        return self.broker_url or f"redis+socket://{quote(str(self.broker_socket))}"


def load(**overrides: object) -> Settings:
    """Settings from environment, `.env` and `overrides`; ConfigProblem names what is wrong."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"{PREFIX}{'_'.join(str(part) for part in e['loc']).upper()}: {e['msg']}"
            for e in error.errors()
        ]
        raise ConfigProblem("; ".join(lines)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigProblem(f".env cannot be read: {type(error).__name__}") from error
