"""A release's log as server-sent events, for pages and API alike: the same bytes, the same permission.

Events: `line` (its id is the byte offset to resume from), `step`, `state` and, once the release is over, `end`. A
stream ends by itself, also within seconds when the reader may not see the release any more. It looks at the file ten
times a second and holds no database connection in between.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, StreamingHttpResponse

from apps.core.access import Actor
from apps.deployments import logs
from apps.deployments.models import Deployment, Release

BATCH = 500
MOST = 128 << 10  # bytes of the file at one time: what a reader who does not read keeps in memory


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between looks at the file, looks at the rows (permission included), and comments on a silent stream."""

    file: float = 0.1
    rows: float = 1.0
    heartbeat: float = 15.0


def always() -> bool:
    return True


def headers() -> dict[str, str]:
    """For the response: nothing in between may keep or collect the events."""
    return {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def position(request: HttpRequest) -> int:
    """Where the reader stopped: from the Last-Event-ID of a browser that comes back, or `after` in the query."""
    text = request.headers.get("Last-Event-ID") or request.GET.get("after") or "0"
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 16 else 0


def response(
    request: HttpRequest, release_id: int, actor: Actor, *, valid: Callable[[], bool] = always
) -> StreamingHttpResponse:
    """The stream as an answer, under ASGI and, for `runserver`, under WSGI."""
    after = position(request)
    if isinstance(request, ASGIRequest):
        return StreamingHttpResponse(events(release_id, actor, after, valid=valid), headers=headers())
    return StreamingHttpResponse(_blocking(_Reader(release_id, actor, after, valid, Pace())), headers=headers())


async def events(
    release_id: int, actor: Actor, after: int = 0, *, valid: Callable[[], bool] = always, pace: Pace | None = None
) -> AsyncIterator[bytes]:
    """The events from a position on. `valid` says whether what opened the stream (a token) could still do so."""
    reader = _Reader(release_id, actor, after, valid, pace or Pace())
    look = sync_to_async(reader.look)
    while not reader.over:
        if reader.is_due:
            await look()
        if chunk := reader.take():
            yield chunk
        if reader.pause:
            await asyncio.sleep(reader.pause)


def _blocking(reader: _Reader) -> Iterator[bytes]:
    """The same for a server that can not wait for them asynchronously."""
    while not reader.over:
        if reader.is_due:
            reader.look()
        if chunk := reader.take():
            yield chunk
        if reader.pause:
            time.sleep(reader.pause)


class _Reader:
    """What one reader knows already, and what is new for them."""

    def __init__(self, release_id: int, actor: Actor, after: int, valid: Callable[[], bool], pace: Pace) -> None:
        self.over = False
        self.is_due = True  # time to look at the rows
        self.pause = 0.0  # before the next look at the file
        self._release_id = release_id
        self._actor = actor
        self._position = after
        self._valid = valid
        self._pace = pace
        self._release: Release | None = None
        self._state = ""
        self._steps: dict[int, dict[str, Any]] = {}
        self._looked_at = self._said_at = time.monotonic()

    def look(self) -> None:
        """Read the rows, permission included; no connection stays open. Nothing more once it may not be seen."""
        try:
            mine = Deployment.objects.visible_to(self._actor)
            rows = Release.objects.filter(pk=self._release_id, deployment__in=mine).prefetch_related("steps")
            release = rows.only("number", "state", "cause", "hint", "deployment_id").first()
            self._release = release if release is not None and self._valid() else None
        finally:
            close_old_connections()
        self._looked_at = time.monotonic()
        self.is_due = False

    def take(self) -> bytes:
        """What is new since the last time; empty when nothing is."""
        release = self._release
        if release is None:
            self.over, self.pause = True, 0.0
            return b""
        sent, before = self._news(release), self._position
        lines = logs.read(self._release_id, after=self._position, limit=BATCH, most=MOST)
        if lines:
            self._position = lines[-1].position
            sent += map(_line, lines)
        elif not release.is_open:
            self.over = True
            sent.append(_event("end", {"state": release.state, "cause": release.cause, "hint": release.hint}))
        is_full = len(lines) == BATCH or self._position - before >= MOST
        self._plan(release, len(lines), is_full=is_full)
        return b"".join(sent) or self._heartbeat()

    def _plan(self, release: Release, count: int, *, is_full: bool) -> None:
        """When to look again: at once while there is more in the file, soon while lines come."""
        self.pause = self._pace.file if release.is_open and not is_full else 0.0
        wait = self._pace.rows / 4 if count else self._pace.rows
        self.is_due = time.monotonic() - self._looked_at >= wait

    def _heartbeat(self) -> bytes:
        at = time.monotonic()
        if at - self._said_at < self._pace.heartbeat:
            return b""
        self._said_at = at
        return b": still here\n\n"

    def _news(self, release: Release) -> list[bytes]:
        """Events for what changed in the rows."""
        sent = []
        if release.state != self._state:
            self._state = release.state
            sent.append(_event("state", {"state": release.state, "number": release.number}))
        for step in release.steps.all():
            shown = {"name": step.name, "state": step.state, "note": step.note, "seconds": step.seconds}
            if self._steps.get(step.position) != shown:
                self._steps[step.position] = shown
                sent.append(_event("step", {"position": step.position, **shown}))
        return sent


def _line(line: logs.Line) -> bytes:
    shown = {"at": line.at.timestamp(), "step": line.step, "text": line.text}
    return f"id: {line.position}\n".encode() + _event("line", shown)


def _event(name: str, shown: dict[str, Any]) -> bytes:
    """JSON has no line break of its own, so what a program printed can never look like another event."""
    return f"event: {name}\ndata: {json.dumps(shown)}\n\n".encode()
