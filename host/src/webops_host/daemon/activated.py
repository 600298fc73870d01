"""A daemon on a socket that systemd holds (sd_listen_fds(3)): it starts when somebody knocks, and leaves when nobody
has for a while.
"""

from __future__ import annotations

import logging
import os
import pwd
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from webops_host import ports
from webops_host.daemon.alarm import Alarm
from webops_host.daemon.answers import Answers
from webops_host.daemon.server import Policy, Server
from webops_host.errors import HostError
from webops_host.fences import Fences
from webops_host.operations import Operation

FIRST_FD = 3
PATIENCE = 60.0  # seconds of silence
LOOK = 5.0
ALARM = "alarm.json"
FAREWELL = 30.0  # seconds that what is under way gets to end
PANEL, WORKER = "webops", "webops-worker"


class Inside(ports.Host, Protocol):
    """A host inside its daemon."""

    @property
    def is_busy(self) -> bool:
        """Whether something goes on that nobody asks about just now: then the daemon stays."""

    def close(self) -> None:
        """End what goes on."""


def policy(users: Callable[[str], int | None] | None = None) -> Policy:
    """The worker may ask for everything, the panel and root may look, and nobody else may speak. What the panel wants
    changed it writes into rows, so it can neither stop an app behind the worker's back nor raise a fence."""
    find = users or _uid_of
    lookers, worker = (0, find(PANEL)), find(WORKER)

    def decide(uid: int) -> Callable[[Operation], bool] | None:
        if uid == worker:
            return lambda operation: True
        return (lambda operation: not operation.changes) if uid in lookers else None

    return decide


def run(
    make: Callable[[], Inside], fences: Path, answers: Path | None = None, environ: Mapping[str, str] = os.environ
) -> int:
    """Serve until SIGTERM or silence. 1 when there is no socket, or the host can not be made. `answers` is a file for
    what was answered; without one it is forgotten when the daemon leaves. What looks like an attack is told in the
    folder that systemd gave for what everybody may read."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    alarm = Alarm(Path(environ["RUNTIME_DIRECTORY"], ALARM) if "RUNTIME_DIRECTORY" in environ else None)
    try:
        with handed_over() as listener:
            host = make()
            server = Server(host, Path("/nonexistent"), Fences(fences), policy(), Answers(answers), alarm)
            server.serve(listener)
            while not leave.wait(LOOK) and (host.is_busy or not server.leave_if_idle(PATIENCE)):
                pass
            server.stop()
            host.close()
    except HostError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)  # noqa: T201
        return 1
    server.wait(FAREWELL)
    return 0


def handed_over() -> socket.socket:
    """The one socket that systemd passed. Raises HostError."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise HostError("No socket was handed over.", hint="Start the .socket unit; it starts this when it is needed.")
    return socket.socket(fileno=FIRST_FD)


def _uid_of(user: str) -> int | None:
    with suppress(KeyError):
        return pwd.getpwnam(user).pw_uid
    return None
