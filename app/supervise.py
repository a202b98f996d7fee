"""`python -m app.supervise CONFIG`: Supervisor in the foreground, with two things added.

Lines of its processes go to stdout with the process's name in front. When a process does not start,
or ends with an exit code that the configuration expects (a wrong setting: another try would change
nothing), everything ends with exit code 1, so that whoever started us gets to know.
"""

from __future__ import annotations

import contextlib
import sys
from collections import defaultdict

from supervisor import events
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import ServerOptions
from supervisor.states import SupervisorStates
from supervisor.supervisord import Supervisor

WIDTH = 9


class Foreground(Supervisor):
    """Supervisor that prints what its processes say and what becomes of them."""

    failed = ""

    def runforever(self) -> None:
        """Supervisor's loop; it forgets its subscribers just before."""
        self._unfinished: defaultdict[str, bytes] = defaultdict(bytes)
        events.subscribe(events.ProcessLogEvent, self._print_output)
        events.subscribe(events.ProcessStateEvent, self._print_state)
        super().runforever()

    def _print_output(self, event: events.ProcessLogEvent) -> None:
        name = event.process.config.name
        *lines, self._unfinished[name] = (self._unfinished[name] + event.data).split(b"\n")
        for line in lines:
            say(name, line.decode(errors="replace"))

    def _print_state(self, event: events.ProcessStateEvent) -> None:
        name = event.process.config.name
        if isinstance(event, events.ProcessStateStartingEvent) and self._unfinished[name]:
            say(name, self._unfinished.pop(name).decode(errors="replace"))
        if isinstance(event, events.ProcessStateRunningEvent):
            say("up", f"{name} runs as process {event.process.pid}")
        elif isinstance(event, events.ProcessStateExitedEvent) and event.expected:
            self._give_up(name)
        elif isinstance(event, events.ProcessStateExitedEvent):
            say("up", f"{name} ended unexpectedly and is started again")
        elif isinstance(event, events.ProcessStateBackoffEvent):
            say("up", f"{name} ended while starting and is started again")
        elif isinstance(event, events.ProcessStateFatalEvent):
            self._give_up(name)

    def _give_up(self, name: str) -> None:
        say("up", f"{name} cannot be kept running (its own lines say why); ending everything")
        self.failed = name
        self.options.mood = SupervisorStates.SHUTDOWN


def say(name: str, line: str) -> None:
    """Print one line of a process. A reader that went away stops the printing, nothing else."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{name:{WIDTH}}| {line}\n")
        sys.stdout.flush()


def main() -> None:
    """Run until a signal ends it (exit code 0) or a process fails for good (1)."""
    options = ServerOptions()
    options.realize(["--configuration", sys.argv[1], "--nodaemon", "--silent"])
    options.first = True
    options.test = False
    supervisor = Foreground(options)
    with contextlib.suppress(asyncore.ExitNow):
        supervisor.main()
    options.close_logger()
    say("up", "everything has ended")
    sys.exit(1 if supervisor.failed else 0)


if __name__ == "__main__":
    main()
