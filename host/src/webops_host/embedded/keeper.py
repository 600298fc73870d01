"""Keeps one unit running: starts its program, reads what it prints, starts it again when it dies, ends it for good.

A thread per running unit follows the program; everything else may be called from any thread.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from webops_host import runner, usage
from webops_host.command import Command
from webops_host.embedded import journal
from webops_host.errors import HostError
from webops_host.values import UnitRef, UnitState, UnitStatus

CRASHES, WITHIN = 5, 60.0  # so many crashes in so many seconds, and we give up
LONGEST_WAIT = 30.0
LOOK = 0.02  # seconds between looks at a session that is ending


class Started(Protocol):
    """A program that `runner.spawn` started."""

    @property
    def pid(self) -> int: ...

    def wait(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Care:
    """How a keeper does its work, handed in by the supervisor. `forgiving` says whether a crash is followed by a new
    start; a candidate that is still being tried is not given another chance."""

    build: Callable[[], Command]
    say: Callable[[list[str]], None]
    forgiving: Callable[[], bool]
    mark: str
    memory_mib: int
    first_wait: float = 1.0


class Keeper:
    """The keeper of one unit. `state` and what goes with it are true when read through `status`."""

    def __init__(self, ref: UnitRef, care: Care) -> None:
        self.ref = ref
        self._care = care
        self._turn = threading.Lock()  # one start or stop at a time
        self._lock = threading.RLock()  # nobody signals a process that is being reaped, nobody starts a second one
        self._process: Started | None = None  # set from the spawn until just before it is reaped
        self._thread: threading.Thread | None = None
        self._wanted = threading.Event()
        self._ending = threading.Event()  # asked to end: what is left of its session may take its time
        self._wake = threading.Event()
        self._restarts = 0
        self._status = UnitStatus(ref, UnitState.STOPPED)
        self._oom = False
        self._crashes: deque[float] = deque(maxlen=CRASHES)

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    @property
    def comes_back(self) -> bool:
        """Whether it runs, or will be started again by itself."""
        thread = self._thread
        return self._wanted.is_set() and thread is not None and thread.is_alive()

    @property
    def ran_out_of_memory(self) -> bool:
        return self._oom

    def status(self) -> UnitStatus:
        return self._status

    def start(self) -> None:
        """Have it running. A running one is left alone; one that waits or has given up is started at once."""
        with self._turn:
            with self._lock:
                if self._process is not None and self._wanted.is_set():
                    return
                self._wanted.clear()  # a thread that waits for its next turn goes
                self._wake.set()
            if self._thread is not None:
                self._thread.join()
            self._begin()

    def stop(self, grace: float) -> None:
        """Ask it to end, end it by force after the grace, and return when nothing of it is left."""
        with self._turn:
            with self._lock:
                self._ending.set()
                self._wanted.clear()
                self._wake.set()
                if self._process is not None:
                    with contextlib.suppress(OSError):
                        os.killpg(self._process.pid, signal.SIGTERM)
            if self._thread is not None:
                self._thread.join(grace)
                while self._thread.is_alive():
                    self._force()
                    self._thread.join(1.0)
                self._thread = None
            if self._status.state is not UnitState.STOPPED:
                self._become(UnitState.STOPPED, exit_status=self._status.exit_status)

    def kill_for_memory(self) -> None:
        """The memory limit was passed: end it by force, and say so when it is asked why."""
        self._oom = True
        self._force()

    def _begin(self) -> None:
        self._ending.clear()
        self._wake.clear()
        self._wanted.set()
        self._crashes.clear()
        try:
            process, output = self._spawn()
        except HostError as error:
            self._wanted.clear()
            self._become(UnitState.CRASHED, reason=error.message)
            raise
        self._thread = threading.Thread(target=self._keep, args=(process, output), name=str(self.ref), daemon=True)
        self._thread.start()

    def _force(self) -> None:
        with self._lock:
            if self._process is not None:
                runner.kill_session(self._process.pid)

    def _spawn(self) -> tuple[Started, int]:
        reading, writing = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        try:
            process = runner.spawn(self._care.build(), output=writing)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        usage.restrain(process.pid)
        os.set_blocking(reading, False)
        self._process, self._oom = process, False
        self._become(UnitState.RUNNING, pid=process.pid)
        return process, reading

    def _become(
        self, state: UnitState, *, pid: int | None = None, exit_status: int | None = None, reason: str = ""
    ) -> None:
        self._status = UnitStatus(self.ref, state, pid, time.time(), self._restarts, exit_status, reason)

    def _keep(self, process: Started, output: int) -> None:
        while True:
            began = time.monotonic()
            status = self._follow(process, output)
            if not self._wanted.is_set():
                self._become(UnitState.STOPPED, exit_status=status)
                return
            wait = self._after_crash(status, time.monotonic() - began)
            if wait is None or self._wake.wait(wait) or not self._wanted.is_set():
                return
            again = self._again()
            if again is None:
                return
            process, output = again

    def _again(self) -> tuple[Started, int] | None:
        with self._lock:
            if not self._wanted.is_set():
                return None
            self._restarts += 1
            try:
                return self._spawn()
            except HostError as error:
                self._become(UnitState.CRASHED, reason=error.message)
                return None

    def _after_crash(self, status: int, lasted: float) -> float | None:
        """How long to wait before the next start; None to leave it."""
        reason = usage.describe_end(status, self._care.memory_mib if self._oom else None)
        now = time.monotonic()
        if lasted > WITHIN:
            self._crashes.clear()
        self._crashes.append(now)
        if not self._care.forgiving():
            wait, then = None, "not started again: it never answered"
        elif len(self._crashes) == CRASHES and now - self._crashes[0] < WITHIN:
            wait, then = None, f"given up after {CRASHES} crashes within a minute"
        else:
            wait = min(self._care.first_wait * 2.0 ** (len(self._crashes) - 1), LONGEST_WAIT)
            then = f"starting again in {wait:g} s"
        self._become(UnitState.CRASHED, exit_status=status, reason=f"{reason}; {then}")
        self._care.say([f"[webops] {self.ref} {reason}; {then}"])
        return wait

    def _follow(self, process: Started, output: int) -> int:
        """Read what it prints until it has ended and nothing of its session is left; its exit status."""
        rest = b""
        with selectors.DefaultSelector() as selector, _Ending(process.pid) as ending:
            selector.register(output, selectors.EVENT_READ)
            ending.register(selector)
            listening = True
            while not ending.has_come():
                for key, _ in selector.select(ending.patience):
                    if key.fd == output:
                        rest, listening = self._read(output, rest)
                        if not listening:
                            selector.unregister(output)
        while self._ending.is_set() and usage.by_session([process.pid])[process.pid].pids:
            rest, _ = self._read(output, rest)  # force, if it is needed, comes from `stop`
            time.sleep(LOOK)
        with self._lock:
            runner.kill_session(process.pid)
            self._process = None
        usage.kill_marked(self._care.mark)
        rest, _ = self._read(output, rest)
        if rest:
            self._care.say([journal.text(rest)])
        os.close(output)
        return process.wait()

    def _read(self, output: int, rest: bytes) -> tuple[bytes, bool]:
        """Everything that is there now goes to the journal. False when nobody can write any more."""
        texts: list[str] = []
        is_open = True
        for _ in range(64):
            try:
                chunk = os.read(output, 1 << 16)
            except BlockingIOError:
                break
            if not chunk:
                is_open = False
                texts += [journal.text(rest)] if rest else []
                rest = b""
                break
            more, rest = journal.split(rest, chunk)
            texts += more
        if texts:
            self._care.say(texts)
        return rest, is_open


class _Ending:
    """Tells when a process has ended, without taking its status: by the kernel's descriptor, or by looking."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        try:
            self._handle: int | None = os.pidfd_open(pid)
        except (AttributeError, OSError):
            self._handle = None
        self.patience = None if self._handle is not None else 0.1

    def __enter__(self) -> _Ending:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)

    def register(self, selector: selectors.BaseSelector) -> None:
        if self._handle is not None:
            selector.register(self._handle, selectors.EVENT_READ)

    def has_come(self) -> bool:
        return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
