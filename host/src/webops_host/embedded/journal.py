"""What the units of one deployment printed: JSON lines in a file that is turned over before it grows large.

A position is the number of bytes ever written up to the end of a line, so it grows, and stays true when the file is
turned over: each file begins with the count it starts from.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from webops_host.values import LogLine

TURN_AT = 5 << 20  # bytes per file, of which two are kept
LINE_LIMIT = 16 << 10
ASK_LIMIT = 10_000


class Journal:
    """One deployment's lines. Any thread may add or read."""

    def __init__(self, folder: Path, *, turn_at: int = TURN_AT) -> None:
        self._now, self._before = folder / "units.jsonl", folder / "units.1.jsonl"
        self._turn_at = turn_at
        self._lock = threading.Lock()

    def add(self, unit: str, texts: Iterable[str]) -> None:
        """Write lines. A full disk or a folder that is gone loses them, and nothing else."""
        at = round(time.time(), 3)
        whole = "".join(json.dumps({"at": at, "unit": unit, "text": text}) + "\n" for text in texts).encode("ascii")
        with self._lock:
            try:
                self._write(whole)
            except OSError:
                return

    def read(self, after: int, limit: int) -> tuple[LogLine, ...]:
        """Lines after a position, oldest first; with `after=0` the last `limit`."""
        limit = max(1, min(limit, ASK_LIMIT))
        if after <= 0 or after > self._end(self._now):  # beyond the end: the deployment was made anew since
            return tuple(self._last(limit))
        found: list[LogLine] = []
        for path in (self._before, self._now):
            found += self._following(path, after, limit - len(found))
            if len(found) >= limit:
                break
        return tuple(found)

    def _write(self, whole: bytes) -> None:
        handle = self._open()
        try:
            size = os.fstat(handle).st_size
            if size >= self._turn_at:
                base = self._base(self._now) + size
                os.close(handle)
                self._now.replace(self._before)
                handle = self._open()
                os.write(handle, _header(base))
            elif size == 0:
                os.write(handle, _header(self._end(self._before)))
            os.write(handle, whole)
        finally:
            os.close(handle)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        try:
            return os.open(self._now, flags, 0o600)
        except FileNotFoundError:
            if not self._now.parent.parent.exists():
                raise  # the deployment is gone, and does not come back because a unit still speaks
            self._now.parent.mkdir(exist_ok=True)
            return os.open(self._now, flags, 0o600)

    def _base(self, path: Path) -> int:
        try:
            with path.open("rb") as file:
                return int(json.loads(file.readline())["base"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _end(self, path: Path) -> int:
        return self._base(path) + path.stat().st_size if path.exists() else 0

    def _following(self, path: Path, after: int, limit: int) -> list[LogLine]:
        base = self._base(path)
        found: list[LogLine] = []
        try:
            with path.open("rb") as file:
                file.seek(max(0, after - base))
                for line in _lines(file, base):
                    found.append(line)
                    if len(found) >= limit:
                        break
        except OSError:
            return found
        return found

    def _last(self, limit: int) -> list[LogLine]:
        found: list[LogLine] = []
        for path in (self._now, self._before):
            if len(found) < limit:
                found = self._tail(path, limit - len(found)) + found
        return found

    def _tail(self, path: Path, limit: int) -> list[LogLine]:
        """The last lines of a file, read from its end in growing steps."""
        step = 64 << 10
        try:
            size = path.stat().st_size
        except OSError:
            return []
        while True:
            start = max(0, size - step)
            found = self._following(path, self._base(path) + start, ASK_LIMIT * 2)
            if len(found) > limit or start == 0:
                return found[-limit:]
            step *= 8


def split(rest: bytes, chunk: bytes) -> tuple[list[str], bytes]:
    """Whole lines out of what was read, and what is left over. A line that is too long is cut."""
    *whole, rest = (rest + chunk).split(b"\n")
    if len(rest) > LINE_LIMIT:
        whole.append(rest)
        rest = b""
    return [text(line) for line in whole], rest


def text(line: bytes) -> str:
    return line[:LINE_LIMIT].decode(errors="replace").rstrip("\r").replace("\x00", "�")


def _header(base: int) -> bytes:
    return json.dumps({"base": base}).encode() + b"\n"


def _lines(file: BinaryIO, base: int) -> Iterator[LogLine]:
    """Lines from where the file stands. Half a line, and the header, are left out."""
    position = base + file.tell()
    for raw in file:
        position += len(raw)
        try:
            data = json.loads(raw)
            line = LogLine(position, float(data["at"]), str(data["unit"]), str(data["text"]))
        except (ValueError, KeyError, TypeError):
            continue
        if raw.endswith(b"\n"):
            yield line
