"""Logging, configured once at an entry point: one `key=value` line an event, on stderr.

Log ids, never the text of an issue. What looks like a token or a private key is blanked in any
case, whichever library logged it.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.types import Processor

_SECRET = re.compile(
    r"gh[opsur]_[A-Za-z0-9._-]{36,}"
    r"|github_pat_[A-Za-z0-9_]{36,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    # user:password@ of a database or broker URL
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)",
    re.DOTALL,
)
# Libraries that tell more than ids at INFO: paths of requests, SQL, task arguments.
_QUIET = (
    "httpx",
    "httpcore",
    "alembic",
    "githubkit",
    "celery.app.trace",
    "celery.beat",
    "celery.worker.strategy",
)


def blank(text: str) -> str:
    """`text` without tokens, private keys and passwords in URLs."""
    return _SECRET.sub("[blanked]", text)


def configure(level: str) -> None:
    """Send structlog and the standard library's loggers through one handler at `level`."""
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _blank_values,
                structlog.processors.LogfmtRenderer(
                    key_order=["at", "level", "event"], bool_as_flag=False
                ),
            ],
        )
    )
    # No line tells thread, process or place in the code: finding them out is half of its cost.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # the way of its own HOWTO
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _blank_values(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {
        key: value if isinstance(value, bool | int | float) else blank(str(value))
        for key, value in event.items()
    }
