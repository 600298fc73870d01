"""The few words that the panel says to Redis, over a socket of its own for each: AUTH, SELECT, LPUSH, LTRIM, PING.

The client libraries cost a process 20 to 30 MiB; a doorbell needs none of what they can do. Only the worker, which
consumes, loads Celery and its client.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import parse_qs, quote, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

PATIENCE = 0.5  # seconds for an answer: a person waits for it
KEPT = 1000  # messages of one queue; a doorbell that was never heard may be forgotten


class BrokerDown(Exception):
    """Redis can not be reached, or refuses."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a Redis listens: a path of a Unix socket, or a name and port."""

    path: str = ""
    name: str = ""
    port: int = 6379
    db: int = 0
    password: str = field(default="", repr=False)

    def push(self, queue: str, message: bytes) -> None:
        """Put a message into a queue. Raises BrokerDown."""
        key = queue.encode()
        self._say((b"LPUSH", key, message), (b"LTRIM", key, b"0", b"%d" % (KEPT - 1)))

    def ping(self) -> None:
        """Raises BrokerDown unless it answers."""
        self._say((b"PING",))

    @property
    def celery_url(self) -> str:
        """The same place in the words of Celery."""
        secret = f":{quote(self.password, safe='')}@" if self.password else ""
        if self.path:
            return f"redis+socket://{secret}{self.path}?virtual_host={self.db}"
        return f"redis://{secret}{self.name}:{self.port}/{self.db}"

    def _say(self, *commands: tuple[bytes, ...]) -> None:
        opening: list[tuple[bytes, ...]] = [(b"SELECT", b"%d" % self.db)]
        if self.password:
            opening.insert(0, (b"AUTH", self.password.encode()))
        said = [*opening, *commands]
        try:
            with self._connected() as connection, connection.makefile("rb") as answers:
                connection.sendall(b"".join(map(_written, said)))
                for _ in said:
                    _heed(answers.readline(1024))
        except OSError as error:
            raise BrokerDown(str(error)) from error

    def _connected(self) -> socket.socket:
        if not self.path:
            return socket.create_connection((self.name, self.port), timeout=PATIENCE)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(PATIENCE)
            connection.connect(self.path)
        except OSError:
            connection.close()
            raise
        return connection


@cache
def parse(url: str) -> Broker:
    """A Redis from `unix:///path?db=0`, `unix://:password@/path` or `redis://:password@name:6379/0`."""
    parts = urlsplit(url)
    secret = unquote(parts.password or "")
    if parts.scheme == "unix" and parts.path:
        return Broker(path=unquote(parts.path), db=_db(parse_qs(parts.query).get("db", ["0"])[0]), password=secret)
    if parts.scheme == "redis" and parts.hostname:
        return Broker(
            name=parts.hostname, port=parts.port or 6379, db=_db(parts.path.strip("/") or "0"), password=secret
        )
    raise ImproperlyConfigured(
        "REDIS_URL must begin with unix:// or redis://, for example unix:///run/webops/redis.sock?db=0"
    )


def _db(text: str) -> int:
    if not text.isdecimal():
        raise ImproperlyConfigured(f"The database in REDIS_URL is {text!r}. Give a number, for example 0.")
    return int(text)


def _written(command: tuple[bytes, ...]) -> bytes:
    """A command as Redis reads it: how many words, and each with its length."""
    return b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in command)


def _heed(line: bytes) -> None:
    """Every command used here answers with one line; one that begins with a minus sign is a refusal."""
    if not line.endswith(b"\n"):
        raise BrokerDown("Redis hung up.")
    if line.startswith(b"-"):
        raise BrokerDown(f"Redis says: {line[1:].decode(errors='replace').strip()}")
