"""What the kernel says about the programs we started (proc(5)): their memory, their time, who is left over.

Everything here is empty on a system without /proc; then nothing is measured and no memory limit is kept.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")
OPEN_FILES = 4096
SIGHT = 2.0  # seconds for what was killed to be gone


@dataclass
class Usage:
    """Of one session: its processes, the bytes they hold resident, the seconds they have run."""

    pids: list[int] = field(default_factory=list)
    resident: int = 0
    cpu_seconds: float = 0.0


def by_session(leaders: Iterable[int]) -> dict[int, Usage]:
    """Usage of each session, in one pass over the processes. Zombies do not count."""
    found = {leader: Usage() for leader in leaders}
    for pid in _processes() if found else ():
        try:
            usage = found.get(os.getsid(pid))
            if usage is None:
                continue
            state, ticks, pages = _stat(pid)
        except (OSError, IndexError, ValueError):
            continue
        if state != b"Z":
            usage.pids.append(pid)
            usage.resident += pages * PAGE
            usage.cpu_seconds += ticks / TICK
    return found


def proportional(pids: Iterable[int]) -> int:
    """Bytes held by processes, shared pages counted once among those who share them."""
    total = 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            for line in (PROC / str(pid) / "smaps_rollup").read_bytes().splitlines():
                if line.startswith(b"Pss:"):
                    total += int(line.split()[1]) << 10
    return total


def marked(mark: str) -> list[int]:
    """Processes of ours that were started with `WEBOPS_UNIT` beginning with the mark, whatever became of them."""
    needle = b"\0WEBOPS_UNIT=" + os.fsencode(mark)
    found = []
    for pid in _processes():
        try:
            if pid != os.getpid() and needle in b"\0" + (PROC / str(pid) / "environ").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


def kill_marked(mark: str) -> int:
    """Kill them all, and see them gone; how many there were."""
    count, deadline = 0, time.monotonic() + SIGHT
    while pids := marked(mark):  # a process may fork while we look, and takes a moment to go
        count = max(count, len(pids))
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            break
        time.sleep(0.002)
    return count


def describe_end(status: int, limit_mib: int | None = None) -> str:
    """How a program ended, in words."""
    if limit_mib is not None:
        return f"out of memory (limit {limit_mib} MB)"
    if status >= 0:
        return f"exited with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    return f"ended by signal {name}"


def restrain_ourselves() -> None:
    """Limits that every program we start inherits from its first moment."""
    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (_most(hard), hard))


def restrain(pid: int) -> None:
    """The same for a started program, for good. What it started before this keeps only what it inherited."""
    if not hasattr(resource, "prlimit"):
        return
    with suppress(OSError, ValueError):
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (_most(hard), _most(hard)))


def _most(hard: int) -> int:
    return OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)


def _processes() -> Iterator[int]:
    try:
        entries = os.listdir(PROC)
    except OSError:
        return
    yield from (int(entry) for entry in entries if entry.isdigit())


def _stat(pid: int) -> tuple[bytes, int, int]:
    """State, ticks of itself and of the children it has waited for, resident pages."""
    raw = (PROC / str(pid) / "stat").read_bytes()
    fields = raw[raw.rfind(b")") + 2 :].split()
    return fields[0], sum(int(field) for field in fields[11:15]), int(fields[21])
