"""A real Redis on a Unix socket in a scratch folder, which can be killed, emptied and started again."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.waiting import until

from apps.core.broker import Broker, BrokerDown

SETTINGS = (
    "--port", "0", "--save", "", "--appendonly", "no", "--hz", "1", "--maxmemory", "32mb", "--daemonize", "no",
)  # fmt: skip


class Redis:
    """Leaving the context ends it."""

    def __init__(self, folder: Path, *, password: str = "") -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("redis-server is not installed: tests/prerequisites.sh")
        self.path, self._folder = folder / "redis.sock", folder
        self._words = (program, *SETTINGS, "--unixsocket", str(self.path), "--dir", str(folder))
        self._words += ("--requirepass", password) if password else ()
        secret = f":{password}@" if password else ""
        self.url = f"unix://{secret}{self.path}?db=0"
        self.broker = Broker(path=str(self.path), password=password)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(self._words, stdout=log, stderr=log)
        until(self.answers, "Redis to answer")

    def stop(self) -> None:
        """Without a farewell, as a crash does it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def answers(self) -> bool:
        try:
            self.broker.ping()
        except BrokerDown:
            return False
        return True

    def ask(self, *words: str) -> str:
        """One command, and its answer as it came."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.path))
            connection.sendall(
                b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)
            )
            return connection.recv(1 << 16).decode()

    def waiting(self, queue: str) -> int:
        """How many messages lie in a queue."""
        return int(self.ask("LLEN", queue).strip().lstrip(":"))


@contextmanager
def running(folder: Path, *, password: str = "") -> Iterator[Redis]:
    redis = Redis(folder, password=password)
    redis.start()
    try:
        yield redis
    finally:
        redis.stop()
