"""The embedded platform's programs as values: what to run, what to tell them, and when they answer."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from apps.core.children import Program
from webops_host.daemon.client import HostClient
from webops_host.errors import HostError
from webops_host.layout import Layout

GLANCE = 0.05  # seconds to wait for an answer at one look
REQUEST = b"GET /account/login/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one embedded platform lives: its folder of data, its sites, the socket that the panel listens on."""

    var: Path
    install_path: Path
    port_base: str
    listener: socket.socket = field(repr=False)

    @property
    def bind(self) -> str:
        name, port = self.listener.getsockname()[:2]
        return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"

    @property
    def reachable(self) -> tuple[str, int]:
        """An address of this computer under which the panel can be opened."""
        name, port = self.listener.getsockname()[:2]
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name), port  # noqa: S104 - a comparison

    @property
    def url(self) -> str:
        name, port = self.reachable
        return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"

    @property
    def environment(self) -> dict[str, str]:
        """What every program is told, so that all agree on it."""
        agreed = {
            "WEBOPS_VAR": str(self.var),
            "WEBOPS_INSTALL_PATH": str(self.install_path),
            "WEBOPS_BIND": self.bind,
            "PYTHONUNBUFFERED": "1",
        }
        return {**os.environ, **agreed}


def setup(place: Place) -> Program:
    """Database, first account, local host: a program that ends, so that whoever starts it stays small."""
    argv = (sys.executable, "manage.py", "bootstrap", "--to-serve", "--no-color")
    return Program("setup", argv, place.environment, lambda: True, patience=5.0)


def host(place: Place) -> Program:
    layout = Layout(place.install_path)
    argv = (sys.executable, "-m", "webops_host.embedded", "--root", str(layout.root), "--port-base", place.port_base)
    return Program("host", argv, place.environment, lambda: _host_answers(layout.daemon_socket), patience=8.0)


def worker(place: Place) -> Program:
    bell = Layout(place.install_path).run / "worker.sock"
    argv = (sys.executable, "manage.py", "worker")
    return Program("worker", argv, place.environment, lambda: _worker_answers(bell), patience=4.0)


def panel(place: Place) -> Program:
    descriptor = place.listener.fileno()
    env = {**place.environment, "WEBOPS_LISTEN_FD": str(descriptor)}
    probe = _Probe(place.reachable)
    argv = (sys.executable, "-m", "config.serve")
    return Program("panel", argv, env, probe.answers, patience=7.0, pass_fds=(descriptor,))


def _host_answers(path: Path) -> bool:
    try:
        HostClient(path).describe()
    except HostError:
        return False
    return True


def _worker_answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.settimeout(GLANCE)
        try:
            bell.sendto(b"!", str(path))
        except OSError:
            return False
    return True


class _Probe:
    """One request to the panel, whose answer is looked for until it comes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._connection: socket.socket | None = None

    def answers(self) -> bool:
        try:
            if self._connection is None:
                self._connection = socket.create_connection(self._address, timeout=1.0)
                self._connection.sendall(REQUEST)
            self._connection.settimeout(GLANCE)
            line = self._connection.recv(64)
        except TimeoutError:
            return False
        except OSError:
            line = b""
        self._hang_up()
        return line.startswith(b"HTTP/1.1 ") and not line.startswith(b"HTTP/1.1 5")

    def _hang_up(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
            self._connection = None
