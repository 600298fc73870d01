"""HTTP spoken byte by byte, for what a well-behaved client would never say."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Heard:
    status: int
    fields: list[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> str:
        return ", ".join(value for key, value in self.fields if key.lower() == name.lower())

    @property
    def text(self) -> str:
        return self.body.decode("latin-1")


@contextmanager
def connection(url: str) -> Iterator[socket.socket]:
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as opened:
        yield opened


def say(url: str, raw: bytes) -> bytes:
    """Everything that comes back until the server closes."""
    with connection(url) as opened:
        opened.sendall(raw)
        return rest(opened)


def rest(opened: socket.socket) -> bytes:
    return b"".join(iter(lambda: opened.recv(65536), b""))


def whole(opened: socket.socket, method: str = "GET") -> Heard:
    """An answer, without waiting for the end of a connection that lingers."""
    heard = b""
    while piece := opened.recv(65536):
        heard += piece
        if b"\r\n\r\n" in heard and method != "HEAD":
            answer = hear(heard)
            if answer.get("content-length") == str(len(answer.body)):
                break
    return hear(heard)


def hear(raw: bytes) -> Heard:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Heard(int(first.split(" ")[1]), fields, body)


def ask(
    url: str, target: str = "/", *fields: str, method: str = "GET", body: bytes = b"", host: str = "blog.test"
) -> Heard:
    """One request with exactly this target, on a connection of its own."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "Connection: close"]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return hear(say(url, "\r\n".join((*lines, "", "")).encode("latin-1") + body))
