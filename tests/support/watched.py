"""Sees what this thread does to the machine before it is done: programs that it starts, and files that it changes.

No program is started: each is not installed. PEP 578: a hook stays for good, so it has a switch.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

STARTS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn"})
WITH_WORDS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn"})
CHANGES = frozenset(
    {
        "os.mkdir", "os.rmdir", "os.remove", "os.rename", "os.link", "os.symlink", "os.truncate", "os.chmod",
        "os.chown", "os.setxattr", "os.mkfifo", "os.utime", "shutil.rmtree", "shutil.copyfile", "shutil.move",
    }
)  # fmt: skip
PAIRS = frozenset({"os.rename", "os.link"})  # whose second path changes, too
SECOND = frozenset({"os.symlink", "shutil.copyfile"})  # whose second path alone changes
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(slots=True)
class Seen:
    """The words of each program that was to be started, and each path that was to be changed."""

    programs: list[tuple[str, ...]] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)


class _Hook:
    def __init__(self) -> None:
        self.seen: Seen | None = None
        self.thread = 0
        self.is_there = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is None or threading.get_ident() != self.thread:
            return
        if event in STARTS:
            self.seen.programs.append(tuple(map(str, arguments[1])) if event in WITH_WORDS else (event,))
            raise FileNotFoundError(2, "No program is started here")
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            self._note(arguments[0])
        elif event in CHANGES:
            for path in arguments[event in SECOND : 1 + (event in PAIRS or event in SECOND)]:
                self._note(path)

    def _note(self, path: Any) -> None:
        if self.seen is not None and not isinstance(path, int):
            self.seen.changed.add(os.fsdecode(path))


_hook = _Hook()


@contextmanager
def machine() -> Iterator[Seen]:
    """What this thread does meanwhile."""
    if not _hook.is_there:
        sys.addaudithook(_hook)
        _hook.is_there = True
    _hook.seen, _hook.thread = Seen(), threading.get_ident()
    try:
        yield _hook.seen
    finally:
        _hook.seen = None
