"""What a release or a command printed: one file of JSON lines each, and of a release the tail as rows.

A position is a byte offset in the file, so that a reader resumes exactly where it stopped.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from django.conf import settings

from apps.core.clock import now
from apps.core.lines import UNREACHABLE
from apps.deployments.hiding import Mask
from apps.deployments.models import LogLine, Release

log = logging.getLogger("webops.worker")
LONGEST = 16 * 1024
TAIL = 60


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `position` is where the next one begins."""

    position: int
    at: datetime
    step: str
    text: str


def path(release_id: int) -> Path:
    return Path(settings.ENV.var) / "logs" / "releases" / f"{release_id}.jsonl"


def command_path(command_id: int) -> Path:
    return Path(settings.ENV.var) / "logs" / "commands" / f"{command_id}.jsonl"


class Writer:
    """Appends lines of a release, or to the file that is named. Secrets, given as exact values, never reach the file.
    Safe from several threads. A file that can not be written, on a full disk say, stops nobody: the work goes on, and
    the last lines are kept as rows."""

    def __init__(self, release: Release | None, secrets: Iterable[str] = (), *, place: Path | None = None) -> None:
        self._release, self._place = release, place
        self._file: IO[bytes] | None = None
        self._tail: deque[tuple[int, datetime, str, str]] = deque(maxlen=TAIL)
        self._lock = threading.Lock()
        self.masked = Mask(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these values as well from now on."""
        self.masked.hide(secrets)

    def write(self, step: str, text: str) -> None:
        clean = self.masked(text).rstrip("\r\n").encode("utf-8", "replace").decode().replace("\x00", "")
        if len(clean) > LONGEST:
            clean = clean[:LONGEST] + f" … ({len(clean) - LONGEST} more characters)"
        at = now()
        record = json.dumps({"at": at.timestamp(), "step": step, "text": clean}, ensure_ascii=False)
        with self._lock:
            self._tail.append((self._append(record.encode("utf-8", "replace") + b"\n"), at, step, clean))

    def _append(self, line: bytes) -> int:
        """Where it was written, whole or not at all; what is not written keeps the next free position."""
        position = self._tail[-1][0] + 1 if self._tail else 0
        try:
            if self._file is None:
                place = self._place or path(self._release.pk if self._release else 0)
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o770)  # the panel reads what the worker writes
                self._file = place.open("ab", buffering=0)
            begins = self._file.seek(0, os.SEEK_END)
            if self._file.write(line) < len(line):
                self._file.truncate(begins)
        except OSError as error:
            log.warning("a line of a log was not written: %s", error)
            return position
        return max(position, begins)

    def tail(self, count: int = TAIL, step: str = "") -> list[str]:
        with self._lock:
            return [text for _, _, of, text in self._tail if not step or of == step][-count:]

    def close(self) -> None:
        """Keep the tail as rows, when they can be reached. Closing again does nothing."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
            if self._release is None:
                return
            rows = [
                LogLine(release=self._release, position=position, at=at, step=step, text=text)
                for position, at, step, text in self._tail
            ]
        try:
            LogLine.objects.bulk_create(rows, ignore_conflicts=True)
        except UNREACHABLE as error:
            log.warning("the last lines of a log are not kept as rows: %s", error)

    def for_step(self, step: str) -> Callable[[str], None]:
        return lambda text: self.write(step, text)


def read(release_id: int, *, after: int = 0, limit: int = 1000, most: int = 64 << 20) -> list[Line]:
    """Whole lines of a release from a position on, at most `limit` of them and about `most` bytes. A position inside a
    line moves on to the next one."""
    return read_file(path(release_id), after=after, limit=limit, most=most)


def count(place: Path) -> int:
    """How many lines a file has; 0 when there is none."""
    try:
        with place.open("rb") as file:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    except FileNotFoundError:
        return 0


def read_file(place: Path, *, after: int = 0, limit: int = 1000, most: int = 64 << 20) -> list[Line]:
    """The same of a file that is named."""
    try:
        file = place.open("rb")
    except FileNotFoundError:
        return []
    lines: list[Line] = []
    with file:
        position = 0
        if after > 0:
            file.seek(after - 1)
            position = after - 1 + len(file.readline())
        end = position + most
        while len(lines) < limit and position < end and (raw := file.readline()).endswith(b"\n"):
            position += len(raw)
            with suppress(ValueError, KeyError, TypeError):  # what a power cut left of a line
                record = json.loads(raw)
                at = datetime.fromtimestamp(record["at"], tz=UTC)
                lines.append(Line(position, at, record["step"], record["text"]))
    return lines
