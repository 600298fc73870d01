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
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, StreamingHttpResponse

from apps.core.access import Actor
from apps.deployments import logs
from apps.deployments.models import Deployment, Release

BATCH = 500


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between looks at the file, looks at the rows (permission included), and comments on a silent stream."""

    file: float = 0.1
    rows: float = 1.0
    heartbeat: float = 15.0


@dataclass(slots=True)
class _Seen:
    """What the reader knows already."""

    position: int
    state: str = ""
    steps: dict[int, dict[str, Any]] = field(default_factory=dict)


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
    source = events(release_id, actor, position(request), valid=valid)
    body = source if isinstance(request, ASGIRequest) else _blocking(source)
    return StreamingHttpResponse(body, headers=headers())


async def events(
    release_id: int, actor: Actor, after: int = 0, *, valid: Callable[[], bool] = always, pace: Pace | None = None
) -> AsyncIterator[bytes]:
    """The events from a position on. `valid` says whether what opened the stream (a token) could still do so."""
    pace = pace or Pace()
    seen = _Seen(after)
    look = sync_to_async(_look)
    silent_since = looked_at = time.monotonic()
    release = await look(release_id, actor, valid)
    while release is not None:
        sent = _news(release, seen)
        lines = logs.read(release_id, after=seen.position, limit=BATCH)
        for line in lines:
            seen.position = line.position
            sent.append(_line(line))
        if sent:
            silent_since = time.monotonic()
            yield b"".join(sent)
        if not release.is_open and not lines:
            yield _event("end", {"state": release.state, "cause": release.cause, "hint": release.hint})
            return
        if time.monotonic() - silent_since >= pace.heartbeat:
            silent_since = time.monotonic()
            yield b": still here\n\n"
        if release.is_open and len(lines) < BATCH:
            await asyncio.sleep(pace.file)
        if time.monotonic() - looked_at >= (pace.rows / 4 if lines else pace.rows) or len(lines) == BATCH:
            looked_at = time.monotonic()
            release = await look(release_id, actor, valid)


def _look(release_id: int, actor: Actor, valid: Callable[[], bool]) -> Release | None:
    """The release with its steps as they are now, or None once the actor may not see it."""
    try:
        mine = Deployment.objects.visible_to(actor)
        rows = Release.objects.filter(pk=release_id, deployment__in=mine).prefetch_related("steps")
        release = rows.only("number", "state", "cause", "hint", "deployment_id").first()
        return release if release is not None and valid() else None
    finally:
        close_old_connections()


def _news(release: Release, seen: _Seen) -> list[bytes]:
    """Events for what changed in the rows."""
    sent = []
    if release.state != seen.state:
        seen.state = release.state
        sent.append(_event("state", {"state": release.state, "number": release.number}))
    for step in release.steps.all():
        shown = {"name": step.name, "state": step.state, "note": step.note, "seconds": step.seconds}
        if seen.steps.get(step.position) != shown:
            seen.steps[step.position] = shown
            sent.append(_event("step", {"position": step.position, **shown}))
    return sent


def _line(line: logs.Line) -> bytes:
    shown = {"at": line.at.timestamp(), "step": line.step, "text": line.text}
    return f"id: {line.position}\n".encode() + _event("line", shown)


def _event(name: str, shown: dict[str, Any]) -> bytes:
    """JSON has no line break of its own, so what a program printed can never look like another event."""
    return f"event: {name}\ndata: {json.dumps(shown)}\n\n".encode()


def _blocking(source: AsyncIterator[bytes]) -> Iterator[bytes]:
    """The same events for a server that can not wait for them asynchronously."""

    async def one() -> bytes | None:
        return await anext(source, None)

    step = async_to_sync(one)
    while (chunk := step()) is not None:
        yield chunk
