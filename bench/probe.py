"""Asks who serves, on a fixed beat, each time over a new connection, and remembers when each marker was first seen."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from bench.children import Failed
from bench.client import unchecked

MARKED = re.compile(rb'data-release="([^"]+)"')
TIMEOUT = 10.0
Ask = Callable[[], str]


def of_url(url: str, path: str, *, page: bool = False) -> Ask:
    """Through the public address: the body is the marker, or a page that carries it."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    return lambda: _marker(_get(socket.AF_INET, (host, port), path, f"{host}:{port}"), page=page)


def of_server(address: str, host: str, path: str) -> Ask:
    """Through HTTPS, at the address where the host is found: the body is the marker, or a page that carries it."""

    def ask() -> str:
        plain = socket.create_connection((address, 443), TIMEOUT)
        with unchecked().wrap_socket(plain, server_hostname=host) as secure:
            content = _conversation(secure, path, host)
        return _marker(content, page=MARKED.search(content) is not None)

    return ask


def of_socket(link: Path, path: str) -> Ask:
    """Through a link to a Unix socket."""
    return lambda: _marker(_get(socket.AF_UNIX, str(link), path, "localhost"), page=False)


def of_file(path: Path) -> Ask:
    """Through a link to files."""
    return lambda: _marker(path.read_bytes(), page=True)


def body(url: str, path: str) -> bytes:
    """One page through the public address."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    return _get(socket.AF_INET, (host, port), path, f"{host}:{port}")


class Probe:
    """Asks in a thread of its own until closed. The beat is kept whatever an answer takes (a slow one skips beats)."""

    def __init__(self, ask: Ask, beat: float) -> None:
        self._ask, self._beat = ask, beat
        self._seen: dict[str, float] = {}
        self._news = threading.Condition()
        self._closing = threading.Event()
        self.asked = self.failed = 0
        self.slowest = 0.0
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()

    def wait(self, marker: str, timeout: float, alive: Callable[[], None]) -> float:
        """When the marker was first seen (on `time.perf_counter`). `alive` is called every two seconds and raises
        when it will never come."""
        deadline = time.monotonic() + timeout
        with self._news:
            while marker not in self._seen:
                if time.monotonic() > deadline:
                    raise Failed(f"The marker {marker} was not seen within {timeout:g} s.")
                if not self._news.wait(2.0):
                    alive()
            return self._seen[marker]

    def _run(self) -> None:
        due = time.perf_counter()
        while not self._closing.is_set():
            began = time.perf_counter()
            try:
                marker, now = self._ask(), time.perf_counter()
            except OSError:
                marker, now = "", time.perf_counter()
                self.failed += 1
            self.asked += 1
            self.slowest = max(self.slowest, now - began)
            if marker and marker not in self._seen:
                with self._news:
                    self._seen[marker] = now
                    self._news.notify_all()
            due = max(due + self._beat, now)
            self._closing.wait(max(0.0, due - time.perf_counter()))


def _get(family: int, address: tuple[str, int] | str, path: str, host: str) -> bytes:
    """The body of a 200. Raises OSError for everything else."""
    with socket.socket(family) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(address)
        return _conversation(connection, path, host)


def _conversation(connection: socket.socket, path: str, host: str) -> bytes:
    """The body of a 200. Raises OSError for everything else."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    received = bytearray()
    while chunk := connection.recv(1 << 16):
        received += chunk
    head, _, content = bytes(received).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise OSError(f"answered {head[:60]!r}")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if length is None or len(content) != int(length[1]):
        raise OSError("the answer is not whole")
    return content


def _marker(content: bytes, *, page: bool) -> str:
    if not page:
        return content.decode(errors="replace")
    found = MARKED.search(content)
    return found[1].decode() if found else ""
