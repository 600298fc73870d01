"""The log of a release or a command as server-sent events, for pages and API alike: same bytes, same permission.

Events: `line` (its id is the byte offset to resume from), `step`, `state` and, once it is over, `end`. A stream ends by
itself, also within seconds when the reader may not see it any more. It looks at the file ten
times a second and holds no database connection in between.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, StreamingHttpResponse

from apps.core.access import Actor, Capability
from apps.deployments import logs
from apps.deployments.models import CommandRun, Deployment, Release, ReleaseStep

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


@dataclass(frozen=True, slots=True)
class Watched:
    """What a stream tells of a release or a command at one moment, and the file of its lines."""

    file: Path
    number: int | None
    state: str
    is_open: bool
    cause: str
    hint: str
    steps: tuple[ReleaseStep, ...] = ()


Look = Callable[[], Watched | None]
"""Reads the rows, permission included. None: it is not there, or this reader may not see it."""


def of_release(release_id: int, actor: Actor) -> Watched | None:
    mine = Deployment.objects.visible_to(actor)
    rows = Release.objects.filter(pk=release_id, deployment__in=mine).prefetch_related("steps")
    found = rows.only("number", "state", "cause", "hint", "deployment_id").first()
    if found is None:
        return None
    steps = tuple(found.steps.all())
    return Watched(logs.path(found.pk), found.number, found.state, found.is_open, found.cause, found.hint, steps)


def of_command(command_id: int, actor: Actor) -> Watched | None:
    """Only for those who may read secrets: a command can print whatever its deployment knows."""
    mine = Deployment.objects.visible_to(actor)
    rows = CommandRun.objects.filter(pk=command_id, deployment__in=mine).select_related("deployment__team")
    found = rows.first()
    if found is None or not actor.may(Capability.READ_SECRETS, found.deployment.team):
        return None
    return Watched(logs.command_path(found.pk), found.number, found.state, found.is_open, found.cause, found.hint)


def response(
    request: HttpRequest, release_id: int, actor: Actor, *, valid: Callable[[], bool] = always
) -> StreamingHttpResponse:
    """The stream of a release as an answer."""
    return answer(request, partial(of_release, release_id, actor), valid=valid)


def answer(request: HttpRequest, look: Look, *, valid: Callable[[], bool] = always) -> StreamingHttpResponse:
    """A stream as an answer, under ASGI and, for `runserver`, under WSGI."""
    reader = _Reader(look, position(request), valid, Pace())
    made = _waiting(reader) if isinstance(request, ASGIRequest) else _blocking(reader)
    return StreamingHttpResponse(made, headers=headers())


async def events(
    release_id: int, actor: Actor, after: int = 0, *, valid: Callable[[], bool] = always, pace: Pace | None = None
) -> AsyncIterator[bytes]:
    """The events of a release from a position on. `valid` says whether what opened the stream (a token) could still do
    so."""
    async for chunk in _waiting(_Reader(partial(of_release, release_id, actor), after, valid, pace or Pace())):
        yield chunk


async def _waiting(reader: _Reader) -> AsyncIterator[bytes]:
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

    def __init__(self, look: Look, after: int, valid: Callable[[], bool], pace: Pace) -> None:
        self.over = False
        self.is_due = True  # time to look at the rows
        self.pause = 0.0  # before the next look at the file
        self._look = look
        self._position = after
        self._valid = valid
        self._pace = pace
        self._watched: Watched | None = None
        self._state = ""
        self._steps: dict[int, dict[str, Any]] = {}
        self._looked_at = self._said_at = time.monotonic()

    def look(self) -> None:
        """Read the rows, permission included; no connection stays open. Nothing more once it may not be seen."""
        try:
            found = self._look()
            self._watched = found if found is not None and self._valid() else None
        finally:
            close_old_connections()
        self._looked_at = time.monotonic()
        self.is_due = False

    def take(self) -> bytes:
        """What is new since the last time; empty when nothing is."""
        watched = self._watched
        if watched is None:
            self.over, self.pause = True, 0.0
            return b""
        sent, before = self._news(watched), self._position
        lines = logs.read_file(watched.file, after=self._position, limit=BATCH, most=MOST)
        if lines:
            self._position = lines[-1].position
            sent += map(_line, lines)
        elif not watched.is_open:
            self.over = True
            sent.append(_event("end", {"state": watched.state, "cause": watched.cause, "hint": watched.hint}))
        is_full = len(lines) == BATCH or self._position - before >= MOST
        self._plan(watched, len(lines), is_full=is_full)
        return b"".join(sent) or self._heartbeat()

    def _plan(self, watched: Watched, count: int, *, is_full: bool) -> None:
        """When to look again: at once while there is more in the file, soon while lines come."""
        self.pause = self._pace.file if watched.is_open and not is_full else 0.0
        wait = self._pace.rows / 4 if count else self._pace.rows
        self.is_due = time.monotonic() - self._looked_at >= wait

    def _heartbeat(self) -> bytes:
        at = time.monotonic()
        if at - self._said_at < self._pace.heartbeat:
            return b""
        self._said_at = at
        return b": still here\n\n"

    def _news(self, watched: Watched) -> list[bytes]:
        """Events for what changed in the rows."""
        sent = []
        if watched.state != self._state:
            self._state = watched.state
            sent.append(_event("state", {"state": watched.state, "number": watched.number}))
        for step in watched.steps:
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
