"""The parts of Triora as separate processes, each started and killed by a test."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from sqlalchemy import func, select
from transformers import LlamaConfig, LlamaForCausalLM

from app.db.session import Database
from app.db.tables import Application, IssueSnapshot, State
from deploy.sandbox.sandbox import Sandbox
from tests.system.conftest import PATIENCE, TRIORA
from tests.waiting import until
from tests.worker.model.conftest import SHAPE, byte_level

RECEIVER = ("serve",)
TRIAGE = ("worker", "--queue", "triage")
LABELS = ("worker", "--queue", "label", "--queue", "upkeep", "--beat")


def save_small_model(folder: Path) -> Path:
    """Llama with random weights: real, and slow enough to be caught in the middle of a batch."""
    shape = SHAPE | {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4}
    LlamaForCausalLM(LlamaConfig(**shape, tie_word_embeddings=True)).save_pretrained(folder)
    byte_level().save_pretrained(folder)
    return folder


class Line:
    """Processes of one Triora, and its database."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self.environment = dict(environment)
        self.directory = directory
        self.database = Database(environment["TRIORA_DATABASE_URL"])
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        """Start `triora ARGUMENTS`; its output goes to a file."""
        number = len(self._started)
        with (self.directory / f"{number}-{'-'.join(arguments)}.log").open("wb") as output:
            process = subprocess.Popen(
                [TRIORA, *arguments],
                env=self.environment,
                cwd=self.directory,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._started.append(process)
        return process

    def start_receiver(self) -> subprocess.Popen[bytes]:
        """Start the receiver; returns once it answers."""
        process = self.start(RECEIVER)
        url = f"http://127.0.0.1:{self.environment['TRIORA_PORT']}/healthz"

        def answers() -> bool:
            self.alive(process)
            try:
                return httpx.get(url, trust_env=False, timeout=5).is_success
            except httpx.HTTPError:
                return False

        until(answers, "the receiver", PATIENCE)
        return process

    def alive(self, process: subprocess.Popen[bytes]) -> None:
        """Fail with the output of a process that has ended."""
        if process.poll() is not None:
            raise AssertionError(f"{process.args} ended with {process.returncode}:\n{self.logs()}")

    def logs(self) -> str:
        """What every process said last."""
        texts = sorted(self.directory.glob("*.log"))
        return "\n".join(f"--- {p.name}\n{p.read_text(errors='replace')[-3000:]}" for p in texts)

    def states(self, table: type[IssueSnapshot] | type[Application]) -> Counter[str]:
        """How many rows stand where; `leased` are those a process holds."""
        with self.database.reading() as session:
            rows = session.execute(
                select(table.state, table.lease_token.is_not(None), func.count()).group_by(
                    table.state, table.lease_token.is_not(None)
                )
            )
            counted: Counter[str] = Counter()
            for state, leased, number in rows:
                counted["leased" if leased and state == State.PENDING else str(state)] += number
            return counted

    def wait_for(
        self, table: type[IssueSnapshot] | type[Application], state: str, least: int = 1
    ) -> None:
        """Wait until at least so many rows stand there."""
        what = f"{least} {table.__tablename__} {state}"
        try:
            until(lambda: self.states(table)[state] >= least, what, PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.states(table)}\n{self.logs()}") from None

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.database.close()


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL: nothing of the process runs afterwards."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def label_posts(github: Sandbox) -> Counter[str]:
    """How often GitHub carried out adding labels, by issue path."""
    lines = github.requests("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels")
    return Counter(line["path"] for line in lines if line["applied"] and line["status"] < 400)


@contextmanager
def line(environment: Mapping[str, str], directory: Path) -> Iterator[Line]:
    """A line whose processes end with the block."""
    with ExitStack() as stack:
        made = Line(environment, directory)
        stack.callback(made.end)
        yield made


def worker_environment(
    environment: Mapping[str, str], database_url: str, model: Path
) -> dict[str, str]:
    """Small model, short leases, and a database that is there already."""
    return {
        **environment,
        "TRIORA_DATABASE_URL": database_url,
        "TRIORA_MODEL": str(model),
        "TRIORA_ADAPTER": "none",
        "TRIORA_DEVICE": "cpu",
        "TRIORA_LEASE_SECONDS": "10",
        "TRIORA_BATCH_SIZE": "48",
        "TRIORA_LOG_LEVEL": "DEBUG",
        "OMP_NUM_THREADS": "1",
    }
