"""The programs that a run starts: each with its output in a file, all of them ended at the end, whatever happened.

The run adopts what its children leave behind (Linux: PR_SET_CHILD_SUBREAPER), so nothing escapes the count of CPU time
or the end of the run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types of its own

PR_SET_CHILD_SUBREAPER = 36
PASSED_ON = ("LANG", "TZ", "TMPDIR")


class Failed(Exception):
    """The run can not go on; the sentence says why."""


def adopt_orphans() -> None:
    """From now on, a process whose parent dies becomes a child of this one."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise Failed(f"This system does not let a process adopt orphans: {os.strerror(ctypes.get_errno())}.")


def scrubbed(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """An environment made from nothing: where programs are found (our Python first), the language, what is given."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    path = os.pathsep.join((f"{sys.base_prefix}/bin", os.environ.get("PATH", os.defpath)))
    return {**kept, "PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8", **more}


class Children:
    """Starts programs and keeps them in hand. Leaving the `with` ends every descendant of this process."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Children:
        adopt_orphans()
        return self

    def __exit__(self, *_: object) -> None:
        end_all()

    def start(
        self, name: str, words: Sequence[str], *, cwd: Path, env: Mapping[str, str], talks: bool = False
    ) -> subprocess.Popen[str]:
        """Start a program. With `talks` its standard input and output are pipes, else its output goes to the log."""
        with (self.logs / f"{name}.log").open("ab") as log:
            pipe = subprocess.PIPE if talks else None
            return subprocess.Popen(
                words,
                cwd=cwd,
                env=dict(env),
                stdin=pipe or subprocess.DEVNULL,
                stdout=pipe or log,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def tail(self, name: str, lines: int = 25) -> str:
        with contextlib.suppress(OSError):
            return "\n".join((self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
        return ""


def descendants(root: int | None = None) -> list[psutil.Process]:
    try:
        return list(psutil.Process(root).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def end_all(patience: float = 15.0) -> None:
    """Ask our own children politely, who then end theirs; after a while kill every descendant, until none is left."""
    deadline = time.monotonic() + patience
    for process in psutil.Process().children():
        _signal(process, signal.SIGTERM)
    while left := [process for process in descendants() if _lives(process)]:
        if time.monotonic() > deadline:
            for process in left:
                _signal(process, signal.SIGKILL)
        if time.monotonic() > deadline + patience:
            raise Failed(f"These processes can not be ended: {[process.pid for process in left]}")
        time.sleep(0.05)
        reap()


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)


def reap() -> None:
    """Collect what has ended, our own and adopted."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of these processes and everything below them, with what has ended and was collected."""
    return sum(_own(process) for root in roots for process in _tree(root))


def own_cpu(pid: int) -> float:
    """User and system time of one process itself."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _tree(root: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(root)
        yield process
        yield from process.children(recursive=True)


def _own(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def memory(pid: int) -> dict[str, float]:
    """Proportional and private memory of one process in MiB (proc(5), smaps_rollup)."""
    kib = {"Pss": 0, "Private_Clean": 0, "Private_Dirty": 0, "Rss": 0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, _, rest = line.partition(":")
        if key in kib:
            kib[key] = int(rest.split()[0])
    private = kib["Private_Clean"] + kib["Private_Dirty"]
    return {"pss": kib["Pss"] / 1024, "private": private / 1024, "rss": kib["Rss"] / 1024}
