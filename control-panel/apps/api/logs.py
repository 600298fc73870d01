"""What a release printed, and what the deployment's own programs print."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from ninja import Query, Router

from apps.api import lookup
from apps.api.auth import Request, still_valid
from apps.api.errors import PROBLEMS
from apps.api.releases import Number, until
from apps.api.schema import Schema
from apps.deployments import logs, speaking, stream

router = Router(tags=["logs"])
Offset = Annotated[int, Query(ge=0, lt=1 << 53, description="Position of the last line that is known")]
Wait = Annotated[float, Query(ge=0, le=60, description="Seconds to wait for a line, while there is none")]


class UnitLine(Schema):
    position: int
    at: datetime
    unit: str
    text: str


class UnitLines(Schema):
    """Oldest first. Give `next` back as `after` for those that follow."""

    items: list[UnitLine]
    next: int


STREAMED: dict[str, Any] = {
    "responses": {
        200: {
            "description": "A line of the log per line: position (give it back as `after`), at, step, text. "
            "With `Accept: text/event-stream` the same as server-sent events, until the release is over.",
            "content": {
                "application/jsonl": {"schema": {"type": "string"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        }
    }
}


@router.get(
    "/{name}/releases/{number}/log",
    response={200: None, **PROBLEMS},
    operation_id="show_release_log",
    openapi_extra=STREAMED,
)
def release_log(
    request: Request,
    name: str,
    number: Number,
    after: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    wait: Wait = 0,
) -> HttpResponseBase:
    release = lookup.release(request.actor, name, number)
    if "text/event-stream" in request.headers.get("Accept", ""):
        token_id = request.token.pk
        return stream.response(request, release.pk, request.actor, valid=lambda: still_valid(token_id))

    def lines_and_end() -> tuple[list[logs.Line], bool]:
        row = lookup.release(request.actor, name, number)
        return logs.read(row.pk, after=after, limit=limit), not row.is_open

    lines, _ = until(lines_and_end, lambda found: bool(found[0]) or found[1], wait)
    body = "".join(f"{json.dumps(_shown(line))}\n" for line in lines)
    return HttpResponse(body, content_type="application/jsonl")


@router.get("/{name}/logs", response={200: UnitLines, **PROBLEMS}, operation_id="show_logs")
def unit_logs(
    request: Request, name: str, after: Offset = 0, limit: Annotated[int, Query(ge=1, le=5000)] = 200
) -> UnitLines:
    """What its processes printed; without `after` the last lines."""
    deployment = lookup.deployment(request.actor, name)
    lines = speaking.lines(deployment, after=after, limit=limit)
    return UnitLines(
        items=[
            UnitLine(position=line.position, at=datetime.fromtimestamp(line.at, UTC), unit=line.unit, text=line.text)
            for line in lines
        ],
        next=lines[-1].position if lines else after,
    )


def _shown(line: logs.Line) -> dict[str, Any]:
    return {"position": line.position, "at": line.at.isoformat(), "step": line.step, "text": line.text}
