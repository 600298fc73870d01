"""What a run says: on the terminal in short, in the log file in full."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

LOG = Path("/var/log/webops/setup.log")


class Journal:
    """`say` goes to both, `note` to the file and `show` to the terminal alone. Without a file there is the terminal."""

    def __init__(self, path: Path | None, out: TextIO | None = None) -> None:
        self.path = path
        self._out = out or sys.stdout
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._file = path.open("a")
            path.chmod(0o640)

    def say(self, text: str = "") -> None:
        self.show(text)
        self.note(text)

    def show(self, text: str) -> None:
        with suppress(OSError):  # the terminal may be gone; what was begun is finished all the same
            print(text, file=self._out, flush=True)

    def note(self, text: str) -> None:
        if self._file is not None:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._file.write("".join(f"{stamp} {line}\n" for line in text.splitlines() or [""]))
            self._file.flush()


def seconds(clock: Callable[[], float] = time.monotonic) -> Callable[[], str]:
    """How long it is since this was called, in words."""
    began = clock()
    return lambda: f"{clock() - began:.1f} s"
