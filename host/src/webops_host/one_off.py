"""One-off commands that go on whether or not somebody watches: the `Commands` port over a host's `builds.run`.

What a command prints waits here until it was read. Who reads says how many lines it has, so one that takes over from
another goes on where that one stopped. It lasts as long as the host's process, and the commands with it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from webops_host.errors import BadValue, Cancelled, HostError, NotFound
from webops_host.names import DeploymentName, RunId
from webops_host.values import Console, ProjectLine, Runtime

log = logging.getLogger("webops.host")
Run = Callable[[Runtime, ProjectLine, float, Console], None]
Start = Callable[[Callable[[], None]], None]

MOST = 32  # commands at once
WAITING = 1 << 20  # bytes of lines that wait for a reader
COST = 64  # bytes that a line takes beside its text: empty ones fill the memory too
PATIENCE = 30.0  # seconds for which a command waits for a reader that is slower than it
KEPT = 600.0  # seconds for which the end of one is told that nobody heard
LOOK = 0.1  # seconds between looks at whether the reader left
FAREWELL = 40.0  # seconds that one which is ended may take
CLOSING = 5.0  # seconds for all of them when the host leaves; what is left then ends with it


@dataclass
class _Going:
    """A command, and what it printed. `first` is the number of the oldest line that is still here, `told` that of the
    next one for whoever reads."""

    name: DeploymentName
    changed: threading.Condition = field(default_factory=threading.Condition)
    wish: threading.Event = field(default_factory=threading.Event)
    lines: deque[str] = field(default_factory=deque)
    size: int = 0
    first: int = 0
    told: int = 0
    readers: int = 0
    error: HostError | None = None
    over_at: float | None = None
    heard: bool = False

    def add(self, line: str) -> None:
        """Keep a line. A reader that lags holds the command up for a while; without one the oldest lines go."""
        with self.changed:
            self.lines.append(line)
            self.size += len(line) + COST
            self.changed.notify_all()
            if self.size > WAITING:
                self.changed.wait_for(self._goes_on, PATIENCE)
            while self.size > WAITING:
                self.size -= len(self.lines.popleft()) + COST
                self.first += 1

    def _goes_on(self) -> bool:
        """Whether all was read, or nobody reads, or it is to end."""
        return self.told >= self._next or not self.readers or self.wish.is_set()

    @property
    def _next(self) -> int:
        return self.first + len(self.lines)

    def end(self, error: HostError | None, at: float) -> None:
        with self.changed:
            self.error, self.over_at = error, at
            self.changed.notify_all()

    def read(self, number: int) -> tuple[list[str], int, bool]:
        """Lines from that number on, waiting a moment for one; the number of the next; and whether there is none."""
        with self.changed:
            self.told = number
            self.changed.notify_all()
            self.changed.wait_for(lambda: self._next > number or self.over_at is not None, LOOK)
            lost = max(0, self.first - number)
            lines = list(self.lines)[max(0, number - self.first) :]
            gap = [f"… {lost} lines that nobody read in time are not kept."] if lost else []
            return gap + lines, max(number, self._next), self.over_at is not None


def _in_thread(act: Callable[[], None]) -> None:
    threading.Thread(target=act, name="one-off", daemon=True).start()


class Commands:
    """Satisfies `ports.Commands`. `run` does the work, `start` begins it beside the caller; `clock` counts seconds."""

    def __init__(self, run: Run, *, start: Start = _in_thread, clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._start, self._clock = run, start, clock
        self._lock = threading.Lock()
        self._known: dict[RunId, _Going] = {}

    def begin(self, runtime: Runtime, line: ProjectLine, timeout: float, run: RunId) -> None:
        with self._lock:
            self._sweep()
            if run in self._known:
                return
            if sum(going.over_at is None for going in self._known.values()) >= MOST:
                raise BadValue(f"{MOST} commands run already.", hint="Wait until one of them is over.")
            going = self._known[run] = _Going(runtime.name)
        self._start(lambda: self._go(going, runtime, line, timeout))

    def follow(self, name: DeploymentName, run: RunId, after: int, console: Console) -> None:
        going = self._find(name, run)
        if going is None:
            raise NotFound(
                f"The command {run} is not known here.", hint="The host was started anew since, or it was long ago."
            )
        with going.changed:
            going.readers += 1
        try:
            self._tell(going, after, console)
        finally:
            with going.changed:
                going.readers -= 1
                going.changed.notify_all()
        going.heard = True
        if going.error is not None:
            raise going.error

    def end(self, name: DeploymentName, run: RunId) -> None:
        going = self._find(name, run)
        if going is not None:
            _end([going])

    # --- for the host itself -----------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether something goes on, or its end is still to be heard."""
        with self._lock:
            self._sweep()
            return any(going.over_at is None or not going.heard for going in self._known.values())

    def forget(self, name: DeploymentName) -> None:
        """End all of a deployment that goes."""
        with self._lock:
            ours = {run: going for run, going in self._known.items() if going.name == name}
        _end(list(ours.values()))
        with self._lock:
            for run in ours:
                self._known.pop(run, None)

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            all_ = list(self._known.values())
        _end(all_, CLOSING)

    # --- parts -------------------------------------------------------------------------------------------------

    def _go(self, going: _Going, runtime: Runtime, line: ProjectLine, timeout: float) -> None:
        error: HostError | None = None
        try:
            self._run(runtime, line, timeout, Console(going.add, going.wish.is_set))
        except HostError as told:
            error = told
        except Exception as broken:  # the outer edge of a thread
            log.exception("a command of %s broke", going.name)
            error = HostError(f"The host broke: {type(broken).__name__}.", hint="See its log.")
        going.end(error, self._clock())

    def _tell(self, going: _Going, number: int, console: Console) -> None:
        is_over = False
        while not is_over:
            if console.cancelled():
                raise Cancelled("Whoever read it left; it goes on.")
            lines, number, is_over = going.read(number)
            for line in lines:
                console.emit(line)

    def _find(self, name: DeploymentName, run: RunId) -> _Going | None:
        with self._lock:
            going = self._known.get(run)
        return going if going is not None and going.name == name else None

    def _sweep(self) -> None:
        """Forget those that were over long ago."""
        past = self._clock() - KEPT
        for run in [run for run, going in self._known.items() if going.over_at is not None and going.over_at < past]:
            del self._known[run]


def _end(those: list[_Going], patience: float = FAREWELL) -> None:
    """Wish for their end, and wait for it."""
    for going in those:
        going.wish.set()
    deadline = time.monotonic() + patience
    for going in those:
        with going.changed:
            going.changed.notify_all()
            left = max(0.0, deadline - time.monotonic())
            going.changed.wait_for(lambda going=going: going.over_at is not None, left)  # type: ignore[misc]
