"""The socket the receiver listens on."""

from __future__ import annotations

import socket

from app.core.errors import ConfigProblem
from app.core.settings import PREFIX, Settings


def listen(settings: Settings) -> socket.socket:
    """A listening socket on HOST and PORT; ConfigProblem when that is not to be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigProblem(
            f"cannot listen on {settings.host} port {settings.port} ({error.strerror}): choose "
            f"another {PREFIX}PORT or {PREFIX}HOST"
        ) from error
