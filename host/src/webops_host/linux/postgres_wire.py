"""A connection to PostgreSQL over its Unix socket, for statements that a stranger wrote.

psql would read them as a script with commands of its own, among them `\\!`, which starts a shell as whoever runs psql.
This speaks the server's protocol (version 3.0) and knows SQL and COPY data, nothing else: whatever is in a statement is
done by the server, with the rights of the role that signed in.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from webops_host.errors import Cancelled, CommandFailed, CommandTimedOut, HostUnreachable
from webops_host.linux.postgres_scram import Proof
from webops_host.values import Console

PATIENCE = 3600.0  # seconds that one statement may take
TICK = 0.05  # seconds between looks at the clock and the cancel flag
BATCH = 1 << 17  # bytes of rows that go in one message
LARGEST = 64 << 20  # bytes of one message

Answer = TypeVar("Answer")


class StatementFailed(CommandFailed):
    """The server said no. Facts: `sqlstate`, `last` (its words)."""


class Connection:
    """Signed in as a role. Use it in a `with`; ending it ends the session. Once the console is cancelled, every wait
    for the server raises Cancelled; a statement under way ends when its login does."""

    def __init__(self, folder: Path, *, port: int, user: str, password: str, database: str, console: Console) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._buffer = b""
        self._console = console
        self._socket.settimeout(TICK)
        try:
            self._socket.connect(str(folder / f".s.PGSQL.{port}"))
            self._begin(user, database, password)
        except OSError as error:
            self._socket.close()
            raise HostUnreachable(f"PostgreSQL does not answer: {error}.", hint="Look at its service.") from error
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def execute(self, statement: bytes, rows: Iterable[bytes] | None = None) -> None:
        """Run one statement; `rows` is what a COPY FROM STDIN of it takes. Raises StatementFailed,
        Cancelled."""
        if b"\x00" in statement:
            raise StatementFailed("A statement holds a zero byte.", facts={"sqlstate": "22021"})
        try:
            self._send(b"Q", statement + b"\x00")
            self._settle(rows)
        except TimeoutError as error:
            raise CommandTimedOut("A statement took longer than an hour and was stopped.") from error
        except OSError as error:
            raise HostUnreachable("PostgreSQL ended the connection.", hint="Look at its log.") from error

    def _settle(self, rows: Iterable[bytes] | None) -> None:
        """Read until the server is ready again."""
        failure: StatementFailed | None = None
        while True:
            kind, body = self._receive()
            if kind == b"E":
                failure = failure or _failure(body)
            elif kind == b"G":
                self._copy(rows)
                rows = None
            elif kind == b"Z":
                if failure is not None:
                    raise failure
                return

    def _copy(self, rows: Iterable[bytes] | None) -> None:
        if rows is None:
            self._send(b"f", b"no data follows this statement\x00")
            return
        batch, size = [], 0
        for row in rows:
            batch.append(row)
            size += len(row)
            if size >= BATCH:
                self._send(b"d", b"".join(batch))
                batch, size = [], 0
        self._send(b"d", b"".join(batch))
        self._send(b"c", b"")

    # --- signing in ----------------------------------------------------------------------------------------------

    def _begin(self, user: str, database: str, password: str) -> None:
        settings = {"user": user, "database": database, "client_encoding": "UTF8", "application_name": "webops"}
        body = b"".join(f"{key}\0{value}\0".encode() for key, value in settings.items()) + b"\x00"
        self._write(struct.pack("!II", len(body) + 8, 3 << 16) + body)
        proof = Proof(password)
        while True:
            kind, body = self._receive()
            if kind == b"E":
                raise _failure(body)
            if kind == b"R":
                self._prove(proof, body)
            elif kind == b"Z":
                return

    def _prove(self, proof: Proof, body: bytes) -> None:
        (wanted,) = struct.unpack_from("!I", body)
        try:
            if wanted == 10:
                first = proof.first()
                self._send(b"p", b"SCRAM-SHA-256\x00" + struct.pack("!I", len(first)) + first)
            elif wanted == 11:
                self._send(b"p", proof.final(body[4:]))
            elif wanted == 12:
                proof.check(body[4:])
            elif wanted != 0:
                raise ValueError(f"the server wants another way to sign in ({wanted})")
        except ValueError as error:
            raise CommandFailed(f"Signing in to PostgreSQL failed: {error}.") from error

    # --- messages ------------------------------------------------------------------------------------------------

    def _send(self, kind: bytes, body: bytes) -> None:
        self._write(kind + struct.pack("!I", len(body) + 4) + body)

    def _write(self, message: bytes) -> None:
        left = memoryview(message)
        while left:
            left = left[self._patiently(partial(self._socket.send, left)) :]

    def _receive(self) -> tuple[bytes, bytes]:
        head = self._exactly(5)
        (length,) = struct.unpack("!I", head[1:])
        if not 4 <= length <= LARGEST:
            raise CommandFailed("PostgreSQL sent a message that could not be read.")
        return head[:1], self._exactly(length - 4)

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            chunk = self._patiently(partial(self._socket.recv, 1 << 16))
            if not chunk:
                raise ConnectionResetError("closed")
            self._buffer += chunk
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def _patiently(self, act: Callable[[], Answer]) -> Answer:
        """What the socket does once it can. Raises TimeoutError, Cancelled."""
        deadline = time.monotonic() + PATIENCE
        while True:
            if self._console.cancelled():
                raise Cancelled("It was cancelled.")
            try:
                return act()
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise


def _failure(body: bytes) -> StatementFailed:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\x00") if part}
    words = fields.get(b"M", "unknown error")[:300]
    return StatementFailed(
        f"PostgreSQL refused a statement: {words}", facts={"sqlstate": fields.get(b"C", ""), "last": words}
    )
