"""One-off commands in a deployment's sandbox, and what ran on a schedule."""

from __future__ import annotations

import json
from datetime import datetime
from functools import partial
from typing import Annotated

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from ninja import Query, Router, Status
from pydantic import Field

from apps.api import lookup
from apps.api.auth import Request, still_valid
from apps.api.errors import PROBLEMS
from apps.api.idempotency import once
from apps.api.logs import STREAMED, Offset
from apps.api.releases import Number, until
from apps.api.releases import Wait as WaitEnd
from apps.api.schema import Schema
from apps.core import access
from apps.core.access import Actor, Capability
from apps.deployments import hiding, logs, stream
from apps.deployments.actions import commands
from apps.deployments.models import CommandRun, Schedule, ScheduleRun

router = Router(tags=["commands"])


class ShownCommand(Schema):
    """`command` is shown without secrets. `release` is the number of what was live when it began."""

    number: int
    command: str
    state: str
    over: bool
    exit_status: int | None
    cause: str
    hint: str
    release: int | None
    asked_by: str | None
    limit_seconds: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None


class Commands(Schema):
    items: list[ShownCommand]


class WantedCommand(Schema):
    command: str = Field(max_length=4000)
    limit_seconds: int = Field(default=commands.USUAL_LIMIT, description="It is ended after this time")


class ShownSchedule(Schema):
    schedule: str
    command: str
    next_at: datetime | None
    last_at: datetime | None
    last_outcome: str


class ShownScheduleRun(Schema):
    """`tail` is the end of what it printed; empty for those who may not read secrets."""

    schedule: str
    command: str
    state: str
    outcome: str
    exit_status: int | None
    started_at: datetime
    finished_at: datetime | None
    seconds: float | None
    tail: list[str]


class Schedules(Schema):
    items: list[ShownSchedule]
    runs: list[ShownScheduleRun]


@router.get("/{name}/commands", response={200: Commands, **PROBLEMS}, operation_id="list_commands")
def index(request: Request, name: str, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Commands:
    deployment = lookup.deployment(request.actor, name)
    masked = hiding.of(deployment)
    rows = deployment.commands.select_related("asked_by").order_by("-number")[:limit]
    return Commands(items=[_shown(row, masked) for row in rows])


@router.post("/{name}/commands", response={202: ShownCommand, **PROBLEMS}, operation_id="run_command")
@once
def run(request: Request, name: str, wanted: WantedCommand) -> Status[ShownCommand]:
    """Run a command line in the sandbox of what is live. It may print secrets that are masked, and anything else that
    the deployment knows, so it needs the right to read secrets."""
    deployment = lookup.deployment(request.actor, name)
    made = commands.run(request.actor, deployment, wanted.command, limit_seconds=wanted.limit_seconds)
    return Status(202, _shown(made, hiding.of(deployment)))


@router.get("/{name}/commands/{number}", response={200: ShownCommand, **PROBLEMS}, operation_id="show_command")
def show(request: Request, name: str, number: Number, wait: WaitEnd = 0) -> ShownCommand:
    """With `wait` the answer comes when it is over, or after that many seconds."""
    found = until(lambda: _row(request.actor, name, number), lambda row: not row.is_open, wait)
    return _shown(found, hiding.of(found.deployment))


@router.get(
    "/{name}/commands/{number}/log",
    response={200: None, **PROBLEMS},
    operation_id="show_command_log",
    openapi_extra=STREAMED,
)
def log(
    request: Request,
    name: str,
    number: Number,
    after: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    wait: WaitEnd = 0,
) -> HttpResponseBase:
    """What it printed; needs the right to read secrets."""
    row = _readable(request.actor, name, number)
    if "text/event-stream" in request.headers.get("Accept", ""):
        token_id = request.token.pk
        look = partial(stream.of_command, row.pk, request.actor)
        return stream.answer(request, look, valid=lambda: still_valid(token_id))

    def lines_and_end() -> tuple[list[logs.Line], bool]:
        found = _readable(request.actor, name, number)
        return logs.read_file(logs.command_path(found.pk), after=after, limit=limit), not found.is_open

    lines, _ = until(lines_and_end, lambda found: bool(found[0]) or found[1], wait)
    body = "".join(
        f"{json.dumps({'position': line.position, 'at': line.at.isoformat(), 'text': line.text})}\n" for line in lines
    )
    return HttpResponse(body, content_type="application/jsonl")


@router.post(
    "/{name}/commands/{number}/cancel", response={202: ShownCommand, **PROBLEMS}, operation_id="cancel_command"
)
def cancel(request: Request, name: str, number: Number) -> Status[ShownCommand]:
    """End it with everything it started."""
    row = commands.cancel(request.actor, _row(request.actor, name, number))
    return Status(202, _shown(row, hiding.of(row.deployment)))


@router.get("/{name}/schedules", response={200: Schedules, **PROBLEMS}, operation_id="list_schedules")
def schedules(request: Request, name: str, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Schedules:
    """The commands on a schedule of what is live, and their last runs."""
    deployment = lookup.deployment(request.actor, name)
    readable = request.actor.may(Capability.READ_SECRETS, deployment.team)
    return Schedules(
        items=[_schedule(row) for row in deployment.schedules.order_by("next_at", "pk")],
        runs=[_run(row, readable=readable) for row in deployment.schedule_runs.all()[:limit]],
    )


def _row(actor: Actor, name: str, number: int) -> CommandRun:
    rows = lookup.deployment(actor, name).commands.select_related(
        "deployment__team", "deployment__database", "asked_by"
    )
    return access.one(rows, number=number)


def _readable(actor: Actor, name: str, number: int) -> CommandRun:
    row = _row(actor, name, number)
    access.require(actor, Capability.READ_SECRETS, row.deployment.team)
    return row


def _shown(row: CommandRun, masked: hiding.Mask) -> ShownCommand:
    names = ("number", "state", "exit_status", "cause", "hint", "release", "limit_seconds", "seconds")
    times = ("created_at", "started_at", "finished_at")
    return ShownCommand(
        **{name: getattr(row, name) for name in (*names, *times)},
        command=masked(row.line),
        over=not row.is_open,
        asked_by=row.asked_by.get_username() if row.asked_by else None,
    )


def _schedule(row: Schedule) -> ShownSchedule:
    return ShownSchedule(
        schedule=row.expression,
        command=row.command,
        next_at=row.next_at,
        last_at=row.last_at,
        last_outcome=row.last_outcome,
    )


def _run(row: ScheduleRun, *, readable: bool) -> ShownScheduleRun:
    names = ("command", "state", "outcome", "exit_status", "started_at", "finished_at", "seconds")
    return ShownScheduleRun(
        **{name: getattr(row, name) for name in names},
        schedule=row.expression,
        tail=[str(line) for line in row.tail] if readable else [],
    )
