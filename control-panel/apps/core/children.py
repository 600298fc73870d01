"""The programs that `up` keeps running: each in its own session, its output in a file, started again when it dies.

A child holds a lock on `<name>.pid` for as long as it lives, through a descriptor it was born with. So whoever finds
the file locked knows that the number in it is that child and nobody else, also after `up` itself was killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from webops_host import runner
from webops_host.command import Command

LOG_LIMIT = 10 << 20
LOOK = 0.02  # seconds between looks at something that is about to end
LONGEST_PAUSE = 30.0
SETTLED = 60.0  # seconds after which a child that dies is started again at once
LOUD = (" WARNING ", " ERROR ", " CRITICAL ")
ECHOED = 3  # lines of one log at one look

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, how to tell that it answers, and how long it may take to end, in seconds."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    answers: Callable[[], bool]
    patience: float
    pass_fds: tuple[int, ...] = ()


class _Process(Protocol):
    """What `runner.spawn` gives back, as far as it is used here."""

    pid: int
    returncode: int | None

    def wait(self) -> int: ...
    def send_signal(self, sig: int) -> None: ...


class Child:
    """A program that is kept running. Its files are `<run>/<name>.pid` and `<logs>/<name>.log`."""

    def __init__(self, program: Program, *, cwd: Path, run: Path, logs: Path) -> None:
        self.program = program
        self.log = Log(logs / f"{program.name}.log")
        self._cwd, self._pid_file = cwd, run / f"{program.name}.pid"
        self._process: _Process | None = None
        self._began = self._due = 0.0
        self._falls = 0

    def start(self) -> None:
        """Start it, after ending one that an earlier `up` left behind."""
        lock = _locked(self._pid_file, self.program.patience)
        output = self.log.open()
        try:
            command = Command(self.program.argv, cwd=self._cwd, env=self.program.env)
            self._process = runner.spawn(command, output=output, pass_fds=(lock, *self.program.pass_fds))
            os.truncate(lock, 0)
            os.pwrite(lock, b"%d\n" % self._process.pid, 0)
        finally:
            os.close(output)
            os.close(lock)
        self._began, self._due = time.monotonic(), 0.0

    def has_ended(self) -> bool:
        """Whether it ended by itself; then nothing of its session is left either."""
        process = self._process
        if process is None or process.returncode is not None:
            return True
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            return False
        runner.kill_session(process.pid)
        process.wait()
        return True

    def tend(self, say: Say) -> None:
        """Start it again when it died: at once the first time, then after ever longer pauses."""
        if not self.has_ended():
            return
        now = time.monotonic()
        if not self._due:
            self._falls = 1 if now - self._began > SETTLED else self._falls + 1
            pause = 0.0 if self._falls == 1 else min(2.0 ** (self._falls - 2), LONGEST_PAUSE)
            self._due = now + pause
            say(f"{self.program.name} ended {self.outcome}; starting it again. Its log: {self.log.path}")
        if now >= self._due:
            self.start()

    @property
    def succeeded(self) -> bool:
        return self._process is not None and self._process.returncode == 0

    @property
    def outcome(self) -> str:
        status = self._process.returncode if self._process else None
        return f"by signal {-status}" if status is not None and status < 0 else f"with status {status}"

    def ask_to_stop(self) -> None:
        if not self.has_ended() and self._process:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its session, if it has not ended by itself."""
        if not self.has_ended() and self._process:
            runner.kill_session(self._process.pid)
            self._process.wait()


def stop(children: list[Child]) -> None:
    """Ask all to stop, wait as long as each may take, kill what is left."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + max((child.program.patience for child in children), default=0.0)
    while time.monotonic() < deadline and not all([child.has_ended() for child in children]):
        time.sleep(LOOK)
    for child in children:
        child.kill()


class Log:
    """A child's output. It is begun anew when it grows too large; the one before is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = 0

    def open(self) -> int:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if not self._seen:
            self._seen = os.fstat(descriptor).st_size
        return descriptor

    def echo(self, say: Say) -> None:
        """Say the warnings that came since the last look; what they are about is in the file."""
        loud = [line for line in self.fresh() if any(word in line for word in LOUD)]
        for line in loud[:ECHOED]:
            say(f"{self.path.stem}: {line[:200]}")
        if len(loud) > ECHOED:
            say(f"{self.path.stem}: {len(loud) - ECHOED} more warnings in {self.path}")

    def tail(self, count: int = 15) -> list[str]:
        with suppress(OSError), self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 20_000))
            return file.read().decode(errors="replace").splitlines()[-count:]
        return []

    def fresh(self) -> list[str]:
        """Lines that came since the last look."""
        with suppress(OSError), self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(min(self._seen, size))
            text = file.read(1 << 20)
            self._seen = file.tell()
            if size > LOG_LIMIT:
                shutil.copyfile(self.path, self.path.with_suffix(".log.1"))
                os.truncate(self.path, 0)  # writers append, so they go on at the new beginning
                self._seen = 0
            return text.decode(errors="replace").splitlines()
        return []


def _locked(pid_file: Path, patience: float) -> int:
    """A descriptor that holds the child's lock; a living holder is ended first."""
    descriptor = os.open(pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _take(descriptor):
        text = os.pread(descriptor, 20, 0).strip()
        _end(int(text) if text.isdigit() else 0, descriptor, patience)
    return descriptor


def _end(pid: int, lock: int, patience: float) -> None:
    """End the process that holds the lock: asked first, killed with its session when it does not listen."""
    deadline = time.monotonic() + patience
    if pid:
        os.kill(pid, signal.SIGTERM)
    while not _take(lock):
        if pid and time.monotonic() > deadline:
            runner.kill_session(pid)
        time.sleep(LOOK)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
