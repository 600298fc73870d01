"""The few words that are said to Redis: AUTH, SELECT, LPUSH, LTRIM, PING, over a socket of its own for each, and LLEN,
DEL and BRPOP, over one that the worker keeps.

The client libraries cost a process 7 to 30 MiB; a doorbell needs none of what they can do. Celery, which only the
worker loads, hears through `core/carrier`.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from functools import cache
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

PATIENCE = 0.5  # seconds for an answer: a person waits for it
LATE = 5.0  # seconds that an answer may come late to a listener, for whom nobody waits
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

    def __str__(self) -> str:
        """Where it is, for a log: without the password."""
        return f"unix://{self.path}?db={self.db}" if self.path else f"redis://{self.name}:{self.port}/{self.db}"

    def ear(self) -> Ear:
        """A connection that is kept, to wait at. Raises BrokerDown."""
        try:
            return Ear(self._connected(), self._opening())
        except OSError as error:
            raise BrokerDown(str(error)) from error

    def _say(self, *commands: tuple[bytes, ...]) -> None:
        said = [*self._opening(), *commands]
        try:
            with self._connected() as connection, connection.makefile("rb") as answers:
                connection.sendall(b"".join(map(_written, said)))
                for _ in said:
                    _heed(answers.readline(1024))
        except OSError as error:
            raise BrokerDown(str(error)) from error

    def _opening(self) -> tuple[tuple[bytes, ...], ...]:
        secret = ((b"AUTH", self.password.encode()),) if self.password else ()
        return (*secret, (b"SELECT", b"%d" % self.db))

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


class Ear:
    """One connection for one listener; whoever got a BrokerDown from it closes it and asks for another."""

    def __init__(self, connection: socket.socket, opening: tuple[tuple[bytes, ...], ...]) -> None:
        self._connection = connection
        self._answers: BinaryIO = connection.makefile("rb")
        for words in opening:
            self._ask(words)

    def take(self, queue: str, seconds: int) -> bytes | None:
        """The oldest message of a queue, once there is one, or None after this time. Raises BrokerDown."""
        found = self._ask((b"BRPOP", queue.encode(), b"%d" % seconds), seconds + LATE)
        message = found[1] if isinstance(found, list) else None
        return message if isinstance(message, bytes) else None

    def waiting(self, queue: str) -> int:
        """How many messages lie there. Raises BrokerDown."""
        found = self._ask((b"LLEN", queue.encode()))
        return found if isinstance(found, int) else 0

    def forget(self, queue: str) -> None:
        """Throw away what lies there. Again: nothing. Raises BrokerDown."""
        self._ask((b"DEL", queue.encode()))

    def close(self) -> None:
        self._answers.close()
        self._connection.close()

    def _ask(self, words: tuple[bytes, ...], patience: float = PATIENCE) -> Answer:
        try:
            self._connection.settimeout(patience)
            self._connection.sendall(_written(words))
            return _read(self._answers)
        except OSError as error:
            raise BrokerDown(str(error)) from error


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
    """A line that begins with a minus sign is a refusal."""
    if not line.endswith(b"\n"):
        raise BrokerDown("Redis hung up.")
    if line.startswith(b"-"):
        raise BrokerDown(f"Redis says: {line[1:].decode(errors='replace').strip()}")


Answer = bytes | int | list["Answer"] | None
"""A text, a number, several of them, or nothing."""


def _read(answers: BinaryIO) -> Answer:
    line = answers.readline(1024)
    _heed(line)
    kind, rest = line[:1], line[1:].strip()
    if kind == b"+":
        return rest
    if kind == b":" or int(rest) < 0:
        return int(rest) if kind == b":" else None
    if kind == b"*":
        return [_read(answers) for _ in range(int(rest))]
    text = answers.read(int(rest) + 2)
    _heed(text)
    return text[:-2]
