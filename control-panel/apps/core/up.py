"""`up`: the embedded platform in one terminal. Starts the host's daemon, the worker and the panel, and stops them.

No Django here: this program stays for as long as the platform runs, so it is small. Only one runs for a folder of data.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from apps.core import programs
from apps.core.children import Child, Program, stop
from apps.core.programs import Place
from webops_host.errors import HostError

BASE = Path(__file__).resolve().parents[2]
DEFAULT_BIND = "127.0.0.1:8800"
PORTS_TRIED = 100
START_TIMEOUT = 60.0
LOOK = 0.03  # seconds between looks at something that is about to answer
ROUND = 1.0  # seconds between looks at what runs
CHOOSE = "Choose one: ./quickstart.sh --port N, or WEBOPS_BIND=127.0.0.1:N; 0 takes any free one."


class Trouble(Exception):
    """Why it can not start, in sentences for a person."""


class Asked(Exception):
    """Somebody asked to stop before everything ran."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="up", description="Start the panel, its worker and the embedded host.")
    parser.add_argument("--port", type=int, help="instead of 8800; 0 takes any free one")
    try:
        _only_one(_var(), parser.parse_args().port)
    except (Trouble, HostError) as trouble:
        sys.exit(str(trouble))


def say(text: str) -> None:
    with suppress(OSError):  # the terminal may be gone; the platform then still stops in order
        print(text, flush=True)  # noqa: T201 - this is a program for a terminal


def _var() -> Path:
    var = Path(os.environ.get("WEBOPS_VAR", "") or BASE / "var").absolute()
    for folder in (var, var / "up", var / "logs"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return var


def _only_one(var: Path, port: int | None) -> None:
    """Live here, unless another one does: then say where."""
    with (var / "up" / "address").open("a+") as mine:
        try:
            fcntl.flock(mine.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            mine.seek(0)
            return say(f"WebOps already runs here: {mine.read().strip() or 'it is starting now'}")
        with _listener(port) as listener:
            place = Place(var, *_sites(var), listener)
            mine.truncate(0)
            mine.write(place.url)
            mine.flush()
            _Platform(place).live()


def _sites(var: Path) -> tuple[Path, str]:
    install_path = Path(os.environ.get("WEBOPS_INSTALL_PATH", "") or var / "sites").absolute()
    return install_path, os.environ.get("WEBOPS_SITE_PORT_BASE", "") or "8100"


def _listener(port: int | None) -> socket.socket:
    """The panel's socket. A port that was asked for must be free; otherwise the next free one will do."""
    asked = os.environ.get("WEBOPS_BIND", "")
    name, _, default = (asked or DEFAULT_BIND).rpartition(":")
    if not default.isdigit() or not name:
        raise Trouble(f"WEBOPS_BIND is {asked!r}. Give an address and a port, for example {DEFAULT_BIND}.")
    first = int(default) if port is None else port
    count = 1 if asked or port is not None else PORTS_TRIED
    for candidate in range(first, first + count):
        listener = _bound(name.strip("[]"), candidate)
        if listener is not None:
            if candidate != first:
                say(f"Port {first} is in use by another program, so the panel takes {candidate}. {CHOOSE}")
            return listener
    raise Trouble(f"Port {first} is in use by another program. {CHOOSE}")


def _bound(name: str, port: int) -> socket.socket | None:
    try:
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        return socket.create_server((name, port), family=family, backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        raise Trouble(f"The panel can not listen on {name} port {port}: {error.strerror}. {CHOOSE}") from error
    except OverflowError as error:
        raise Trouble(f"{port} is no port: they go up to 65535.") from error


class _Platform:
    """The programs of one place, from their first to their last moment."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._bell = _Bell()
        self._children: list[Child] = []

    def live(self) -> None:
        """Set up, start, keep running until somebody asks to stop, stop."""
        try:
            self._set_up()
            self._start(programs.host(self._place))
            self._start(programs.worker(self._place), programs.panel(self._place))
            self._announce()
            while True:
                self._wait(ROUND)
                for child in self._children:
                    child.tend(say)
                    child.log.echo(say)
        except Asked:
            say("Stopping.")
        finally:
            self._stop()

    def _set_up(self) -> None:
        child = self._child(programs.setup(self._place))
        child.start()
        while not child.has_ended():
            self._wait(LOOK)
        self._children.remove(child)
        printed = "\n".join(child.log.fresh())
        if not child.succeeded:
            raise Trouble(printed.removeprefix("CommandError: "))
        if printed:
            say(printed)

    def _start(self, *them: Program) -> None:
        """Start them side by side and wait until each answers."""
        children = [self._child(program) for program in them]
        for child in children:
            child.start()
        deadline = time.monotonic() + START_TIMEOUT
        for child in children:
            while not child.program.answers():
                if child.has_ended() or time.monotonic() > deadline:
                    raise Trouble(_silent(child))
                self._wait(LOOK)

    def _child(self, program: Program) -> Child:
        child = Child(program, cwd=BASE, run=self._place.var / "up", logs=self._place.var / "logs")
        self._children.append(child)
        return child

    def _announce(self) -> None:
        say(
            f"\nWebOps is running.\n\n"
            f"  Open      {self._place.url}\n"
            f"  Sign in   admin, admin123 (unless you changed it)\n"
            f"  Data      {self._place.var}\n"
            f"  Logs      {self._place.var / 'logs'}\n"
            f"  Stop      Ctrl-C; sites stop too, and come back at the next start\n"
        )

    def _wait(self, timeout: float) -> None:
        if self._bell.rings(timeout):
            raise Asked

    def _stop(self) -> None:
        """The panel and the worker first, so that nothing asks a host that is going."""
        stop([child for child in self._children if child.program.name != "host"])
        stop([child for child in self._children if child.program.name == "host"])


def _silent(child: Child) -> str:
    name = child.program.name
    what = f"ended {child.outcome}" if child.has_ended() else f"does not answer after {START_TIMEOUT:.0f} s"
    return "\n".join([f"The {name} {what}. The end of its log, {child.log.path}:", *child.log.tail()])


class _Bell:
    """Signals, as something that can be waited for. A child that ends wakes up too."""

    def __init__(self) -> None:
        self._ear, self._mouth = socket.socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)

    def rings(self, timeout: float) -> bool:
        """Wait. True when somebody asked to stop meanwhile."""
        ready, _, _ = select.select([self._ear], [], [], timeout)
        heard = self._ear.recv(4096) if ready else b""
        return any(number != signal.SIGCHLD for number in heard)


if __name__ == "__main__":
    main()
