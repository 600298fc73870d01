"""Starts programs: the only file that does. Words in, lines and a status out; never a shell.

Every program gets a session of its own, so that ending it ends whatever it started, and an environment that is exactly
the command's. Nothing that a program leaves running outlives the call that ran it; only `spawn` makes something that
stays.
"""

from __future__ import annotations

import errno
import os
import re
import selectors
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from webops_host.command import Command
from webops_host.errors import Cancelled, CommandFailed, CommandTimedOut, HostError, NotFound, ProgramMissing
from webops_host.values import Console

TICK = 0.05  # seconds between looks at the clock, the cancel flag and the memory
TAIL_LINES = 400
LINE_LIMIT = 8192
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # what nobody here killed, the system did when memory ran out
PACKAGES = {"git": "git", "node": "nodejs", "npm": "npm", "psql": "postgresql-client"}
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]")

Watch = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Result:
    """How a program ended (negative for a signal) and the last lines it printed, both streams in one."""

    status: int
    output: str


class _OverMemory(Exception):
    """The session took more than its limit."""


def run(command: Command, console: Console | None = None, *, check: bool = True, watch: Watch | None = None) -> Result:
    """Run to the end, streaming lines to the console.

    `watch` is called at every tick; what it raises ends the program and rises. Raises Cancelled, CommandTimedOut,
    ProgramMissing and, unless `check` is off, CommandFailed. Running out of memory is always CommandFailed.
    """
    lines = _Lines(command, console)
    with _started(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            _follow(process, lines.feed, _watcher(command, process.pid, console, watch))
        except _OverMemory:
            raise failed(command, Result(-signal.SIGKILL, lines.tail()), oom=True) from None
        finally:
            lines.close()
        result = Result(process.wait(), lines.tail())
    if check and result.status != 0:
        raise failed(command, result)
    return result


def run_binary(command: Command, *, limit: int = 64 << 20) -> bytes:
    """Standard output as it is, for plumbing. More than `limit` bytes is CommandFailed, as is a status but 0."""
    parts: list[bytes] = []
    size = 0

    def feed(chunk: bytes) -> None:
        nonlocal size
        size += len(chunk)
        if size > limit:
            raise CommandFailed(f"{_short(command)} printed more than {limit >> 20} MiB.", facts=_facts(command, 0))
        parts.append(chunk)

    with tempfile.TemporaryFile() as errors:
        with _started(command, stdout=subprocess.PIPE, stderr=errors) as process:
            _follow(process, feed, _watcher(command, process.pid, None, None))
            status = process.wait()
        if status != 0:
            errors.seek(0)
            raise failed(command, Result(status, errors.read(LINE_LIMIT).decode(errors="replace")))
    return b"".join(parts)


def stream(command: Command, feed: Callable[[bytes], None], console: Console | None = None) -> Result:
    """Run to the end, feeding standard output as it is; the result's output is the end of what went to standard error.

    Raises Cancelled, CommandTimedOut, ProgramMissing; a status but 0 is the caller's to judge.
    """
    with tempfile.TemporaryFile() as errors:
        with _started(command, stdout=subprocess.PIPE, stderr=errors) as process:
            _follow(process, feed, _watcher(command, process.pid, console, None))
            status = process.wait()
        return _judged(status, errors)


class Partner:
    """A program that stays to be asked again. Raises ProgramMissing. Whoever starts it ends it, once."""

    def __init__(self, command: Command) -> None:
        self._command, self._errors = command, tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        try:
            self._process = _start(command, stdout=subprocess.PIPE, stderr=self._errors, talks=True)
        except HostError:
            self._errors.close()
            raise
        self._pipe = _end_of(self._process.stdout).fileno()
        self._heard = selectors.DefaultSelector()
        self._heard.register(self._pipe, selectors.EVENT_READ)

    def ask(self, line: bytes, feed: Callable[[bytes], bool], console: Console | None = None) -> bool:
        """Say the line, and feed what is said back until `feed` is content. False when the program left before that.
        Raises Cancelled, CommandTimedOut; then it is to be ended."""
        watch = _watcher(self._command, self._process.pid, console, None)
        try:
            _end_of(self._process.stdin).write(line)
            _end_of(self._process.stdin).flush()
        except BrokenPipeError:
            return False
        while True:
            watch()
            if not self._heard.select(TICK):
                continue
            chunk = os.read(self._pipe, 1 << 16)
            if not chunk or feed(chunk):
                return bool(chunk)

    def end(self, patience: float) -> Result:
        """Ask no more and wait until it has left; after so many seconds it is killed. Its output is as of `stream`."""
        deadline = time.monotonic() + patience
        with self._errors, self._heard, _end_of(self._process.stdout):
            with suppress(BrokenPipeError):
                _end_of(self._process.stdin).close()
            while (left := deadline - time.monotonic()) > 0 and self._heard.select(left):
                if not os.read(self._pipe, 1 << 16):
                    break
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(TICK * 10)
            if self._process.returncode is None:
                kill_session(self._process.pid)
            return _judged(self._process.wait(), self._errors)


def spawn(command: Command, *, output: int, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """Start a program that stays, in a session of its own, with both streams on the descriptor `output`.

    The caller keeps it, waits for it and ends it. Raises ProgramMissing.
    """
    return _start(command, stdout=output, stderr=subprocess.STDOUT, pass_fds=pass_fds)


def kill_session(leader: int) -> None:
    """Kill whatever runs in a session that `spawn` or `run` began. Nothing there is fine.

    The leader must not have been waited for yet: until then its number can not have been given to somebody else.
    """
    for _ in range(3):  # a process may fork while we look
        _signal_group(leader)
        left = [pid for pid, _ in _members(leader) if pid != leader]
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not left:
            return


def memory_of(leader: int) -> int:
    """Resident bytes of all processes in a session; 0 where the system does not tell."""
    return sum(pages for _, pages in _members(leader)) * os.sysconf("SC_PAGE_SIZE")


def failed(command: Command, result: Result, *, oom: bool = False) -> CommandFailed:
    """The error for a program that said no, with its last line among the facts."""
    name = _short(command)
    facts = _facts(command, result.status)
    last = next((line for line in reversed(result.output.splitlines()) if line.strip()), "")
    if last:
        facts["last"] = _hidden(command, last.strip())[:300]
    if oom or (command.memory_mib is not None and result.status in KILLED):
        how = "needed more" if oom else "was killed, as the system does with what needs more"
        return CommandFailed(
            f"{name} {how} than its {command.memory_mib} MiB of memory.",
            hint="Raise the memory limit of the deployment, or make the build need less.",
            facts={**facts, "oom": True},
        )
    how = f"was ended by signal {-result.status}" if result.status < 0 else f"failed with status {result.status}"
    return CommandFailed(f"{name} {how}.", facts=facts)


# --- starting and ending ---------------------------------------------------------------------------------------


@contextmanager
def _started(command: Command, *, stdout: int, stderr: int | IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The program, started; on the way out nothing of its session is left."""
    process = _start(command, stdout=stdout, stderr=stderr)
    try:
        yield process
    finally:
        if process.returncode is None:
            kill_session(process.pid)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _start(
    command: Command, *, stdout: int, stderr: int | IO[bytes], pass_fds: tuple[int, ...] = (), talks: bool = False
) -> subprocess.Popen[bytes]:
    with _stdin(command, talks) as stdin:
        try:
            return subprocess.Popen(
                command.argv,
                cwd=command.cwd,
                env=dict(command.env),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        except OSError as error:
            raise _not_started(command, error) from error


@contextmanager
def _stdin(command: Command, talks: bool) -> Iterator[int | IO[bytes]]:
    """A file, not a pipe: nobody has to feed it while the program prints. A pipe to one that is talked with."""
    if talks or not command.stdin:
        yield subprocess.PIPE if talks else subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(command.stdin)
        file.seek(0)
        yield file


def _not_started(command: Command, error: OSError) -> HostError:
    name = _short(command)
    if command.cwd is not None and not command.cwd.is_dir():
        return NotFound(f"The folder for {name} to run in is not there.", facts={"path": str(command.cwd)})
    if error.errno == errno.E2BIG:
        return CommandFailed(f"{name} was given more text than the system allows.", facts=_facts(command, 126))
    package = PACKAGES.get(name)
    hint = f"Install it, for example with “apt install {package}”." if package else "Install it, or correct its name."
    return ProgramMissing(f"The program {name} is not installed here.", hint=hint, facts={"program": name})


def _signal_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
        os.killpg(leader, signal.SIGKILL)


def _members(session: int) -> Iterator[tuple[int, int]]:
    """Process ids and resident pages of the living in a session (proc(5): fields 3 and 24 of stat)."""
    try:
        entries = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    except OSError:
        return
    for pid in entries:
        try:
            if os.getsid(pid) != session:
                continue
            text = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            continue
        fields = text[text.rfind(b")") + 2 :].split()
        if len(fields) > 21 and fields[0] != b"Z":
            yield pid, int(fields[21])


# --- following -------------------------------------------------------------------------------------------------


def _follow(process: subprocess.Popen[bytes], feed: Callable[[bytes], None], watch: Watch) -> None:
    """Feed what it prints until it ends, watching at every tick. Leaves it ended, its session empty, not waited for."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        is_open, next_look, pause = True, 0.0, 0.0005
        while is_open or not _has_ended(process):
            if time.monotonic() >= next_look:
                watch()
                next_look = time.monotonic() + TICK
            if not is_open:
                time.sleep(pause)  # most programs end at the moment they close their output
                pause = min(2 * pause, 0.01)
                continue
            ready = selector.select(TICK)
            is_open = _read(pipe, feed) if ready else not _has_ended(process)
    kill_session(process.pid)
    _read(pipe, feed)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Without collecting its status, so that its number stays its own until its session is empty."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _read(pipe: int, feed: Callable[[bytes], None]) -> bool:
    """Everything that is there now. False at the end of the stream."""
    for _ in range(64):  # then look at the clock again
        try:
            chunk = os.read(pipe, 1 << 16)
        except BlockingIOError:
            return True
        if not chunk:
            return False
        feed(chunk)
    return True


def _watcher(command: Command, leader: int, console: Console | None, watch: Watch | None) -> Watch:
    deadline = time.monotonic() + command.timeout
    looks = 0

    def look() -> None:
        nonlocal looks
        if console is not None and console.cancelled():
            raise Cancelled("It was cancelled.")
        if time.monotonic() > deadline:
            raise CommandTimedOut(
                f"{_short(command)} took longer than {command.timeout:g} s and was stopped.",
                facts={"program": _short(command), "timeout": int(command.timeout)},
            )
        if watch is not None:
            watch()
        looks += 1
        if command.memory_mib is not None and looks % 4 == 0 and memory_of(leader) > command.memory_mib << 20:
            raise _OverMemory

    return look


class _Lines:
    """Turns chunks into lines: complete, without terminal escapes and secrets, the last few kept."""

    def __init__(self, command: Command, console: Console | None) -> None:
        self._command = command
        self._emit = console.emit if console is not None else None
        self._rest = b""
        self._kept: deque[str] = deque(maxlen=TAIL_LINES)

    def feed(self, chunk: bytes) -> None:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            self._take(line)
        if len(self._rest) > LINE_LIMIT:
            self._take(self._rest)
            self._rest = b""

    def close(self) -> None:
        if self._rest:
            self._take(self._rest)
            self._rest = b""

    def tail(self) -> str:
        return "\n".join(self._kept)

    def _take(self, line: bytes) -> None:
        shown = line.rstrip(b"\r").rsplit(b"\r", 1)[-1][:LINE_LIMIT]  # a progress bar: what a terminal would show last
        text = _hidden(self._command, ESCAPES.sub("", shown.decode(errors="replace")))
        self._kept.append(text)
        if self._emit is not None:
            self._emit(text)


def _end_of(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _judged(status: int, errors: IO[bytes]) -> Result:
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - LINE_LIMIT))
    return Result(status, errors.read().decode(errors="replace"))


def _short(command: Command) -> str:
    return os.path.basename(command.program)


def _facts(command: Command, status: int) -> dict[str, str | int | bool]:
    return {"program": _short(command), "status": status, "oom": False}


def _hidden(command: Command, text: str) -> str:
    for secret in command.hide:
        if secret:
            text = text.replace(secret, "[hidden]")
    return text
