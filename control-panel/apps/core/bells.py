"""What a worker waits at between its looks: a socket on the embedded default, a flag where Celery hears the queue."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


class Bell(Protocol):
    """Rung by anybody, waited for by one. A ring while nobody waits ends the next wait at once."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def wait(self, seconds: float) -> None:
        """Return when it rings, at the latest after this time."""

    def ring(self) -> None:
        """End a wait. Safe in a signal handler."""


class SocketBell:
    """A Unix socket that every process of this computer may send a datagram to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ear: socket.socket | None = None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.unlink(missing_ok=True)
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(str(self._path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ear is not None:
            self._ear.close()

    def wait(self, seconds: float) -> None:
        if self._ear is not None:
            self._ear.settimeout(seconds)
            with suppress(TimeoutError):
                self._ear.recv(64)

    def ring(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth, suppress(OSError):
            mouth.setblocking(False)
            mouth.sendto(b"!", str(self._path))


class FlagBell:
    """A flag in this process, for threads of it."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def wait(self, seconds: float) -> None:
        self._rung.wait(seconds)
        self._rung.clear()

    def ring(self) -> None:
        self._rung.set()
