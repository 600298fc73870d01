"""A host in another process, reached over its socket. One connection per call, so any number of threads may call."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from webops_host import ports
from webops_host.daemon import protocol
from webops_host.errors import Cancelled, HostError, HostUnreachable
from webops_host.fences import Ports
from webops_host.names import DeploymentName
from webops_host.operations import Operation, Values, deployment_of
from webops_host.values import Console

BUSY = 5.0  # seconds to wait for a daemon that many ask at once
LOOK = 0.1  # seconds between looks at the caller's wish to stop
QUIET = 60.0  # seconds after which a question that needs no work counts as unanswered
FAREWELL = 40.0  # seconds that a cancelled call may take to end what it started


class HostClient(Ports):
    """Satisfies `ports.Host`. Raises HostUnreachable when the daemon is not there, on each call anew.

    On a server another daemon has the databases: `elsewhere` says which port is behind which other socket.
    """

    def __init__(
        self,
        socket_path: Path,
        *,
        fence: tuple[DeploymentName, int] | None = None,
        elsewhere: Mapping[str, Path] | None = None,
    ) -> None:
        super().__init__(self._call)
        self._path, self._fence, self._elsewhere = socket_path, fence, elsewhere or {}

    def fenced(self, name: DeploymentName, fence: int) -> ports.Host:
        return HostClient(self._path, fence=(name, fence), elsewhere=self._elsewhere)

    def _call(self, operation: Operation, values: Values) -> Any:
        console: Console | None = values.pop("console", None)
        line = protocol.ask(secrets.token_hex(12), self._fence_for(values), operation, values)
        with self._connect(self._elsewhere.get(operation.port, self._path)) as connection:
            try:
                connection.sendall(line)
                answer = _Conversation(connection, console, _patience(operation, values)).answer()
            except OSError as error:
                raise _unreachable("The host ended the conversation.") from error
        return protocol.result_of(operation, answer)

    def _fence_for(self, values: Values) -> int | None:
        if self._fence is None or deployment_of(values) != self._fence[0]:
            return None
        return self._fence[1]

    def _connect(self, path: Path) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(BUSY)
            _knock(connection, str(path))
        except OSError as error:
            connection.close()
            raise _unreachable("The host's daemon is not running.") from error
        return connection


def _knock(connection: socket.socket, path: str) -> None:
    """Connect. A Unix socket with a timeout does not wait by itself when many callers come at once (EAGAIN)."""
    deadline = time.monotonic() + BUSY
    while True:
        try:
            return connection.connect(path)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _patience(operation: Operation, values: Values) -> float | None:
    """How long an answer may take; None for work that takes as long as it takes."""
    if operation.changes or operation.streams or "timeout" in values:
        return None
    return QUIET


def _unreachable(message: str) -> HostUnreachable:
    return HostUnreachable(
        message, hint="Start the host, or read its log to see why it stopped. Sites may still be up."
    )


class _Conversation:
    """Reads lines until the answer, looking at the caller's wish to stop several times a second."""

    def __init__(self, connection: socket.socket, console: Console | None, patience: float | None) -> None:
        self._connection, self._console = connection, console
        self._deadline = None if patience is None else time.monotonic() + patience
        self._leaving = False

    def answer(self) -> dict[str, Any]:
        for line in self._lines():
            data = protocol.decode(line)
            if not isinstance(data, dict):
                raise HostError("The host's answer could not be read.")
            if "line" not in data:
                return data
            if self._console is not None and not self._leaving:
                self._console.emit(str(data["line"]))
        if self._leaving:
            raise Cancelled("Stopped because somebody asked for it.")
        raise _unreachable("The host ended the conversation.")

    def _lines(self) -> Iterator[bytes]:
        rest: list[bytes] = []
        size = 0
        for chunk in self._chunks():
            *whole, last = chunk.split(b"\n")
            for line in whole:
                yield b"".join((*rest, line))
                rest, size = [], 0
            rest.append(last)
            size += len(last)
            if size > protocol.ANSWER_LIMIT:
                raise HostError("The host's answer is too large.")

    def _chunks(self) -> Iterator[bytes]:
        looked = 0.0
        self._connection.settimeout(LOOK)
        while True:
            now = time.monotonic()
            if now - looked >= LOOK:
                looked = now
                self._look(now)
            try:
                chunk = self._connection.recv(1 << 18)
            except TimeoutError:
                continue
            if not chunk:
                return
            yield chunk

    def _look(self, now: float) -> None:
        if self._deadline is not None and now > self._deadline:
            if self._leaving:
                raise Cancelled("Stopped because somebody asked for it.")
            raise _unreachable("The host did not answer in time.")
        if self._console is not None and not self._leaving and self._console.cancelled():
            self._leave(now)

    def _leave(self, now: float) -> None:
        """Close our side, which tells the host to stop, and stay until it has: nothing it began runs on after that."""
        self._leaving = True
        self._deadline = now + FAREWELL
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
