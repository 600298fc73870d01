"""Releases of a deployment: asking for one, going back to one, stopping one, and reading what became of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, TypeVar

from django.db import close_old_connections
from ninja import Path, Query, Router, Status
from pydantic import Field

from apps.api import lookup
from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.api.idempotency import once
from apps.api.schema import Schema
from apps.deployments.actions import releases
from apps.deployments.models import Release, State

router = Router(tags=["releases"])
Number = Annotated[int, Path(ge=1, lt=1 << 31)]
Wait = Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the end before answering")]
LOOK_EVERY = 0.2
T = TypeVar("T")


class Step(Schema):
    name: str
    state: str
    note: str
    seconds: float | None


class ReleaseInList(Schema):
    """`number` is empty for a look at the repository. A `retired` release was live once; `kept` says that one can
    still go back to it."""

    number: int | None
    kind: str
    state: str
    ref: str
    commit: str
    subject: str
    author: str
    back_to: int | None
    kept: bool
    trigger: str
    triggered_by: str | None
    cause: str
    hint: str
    created_at: datetime
    started_at: datetime | None
    live_at: datetime | None
    finished_at: datetime | None
    seconds: float | None


class ShownRelease(ReleaseInList):
    """`evidence` is what proves the cause: lines of the log."""

    deployment: str
    over: bool
    failure: str
    evidence: list[str]
    steps: list[Step]


class Releases(Schema):
    items: list[ReleaseInList]
    next_cursor: int | None


class WantedDeploy(Schema):
    ref: str = Field(default="", description="Branch, tag or commit; the deployment's own when left out")


class WantedRollback(Schema):
    release: int | None = Field(default=None, description="Number; the one live before when left out")


class WantedCancel(Schema):
    release: int | None = Field(default=None, description="Number; the one under way when left out")


@router.post("/{name}/deploy", response={202: ShownRelease, **PROBLEMS}, operation_id="deploy")
@once
def deploy(request: Request, name: str, wanted: WantedDeploy | None = None) -> Status[ShownRelease]:
    """Queue a release of the newest commit. One that still waits is superseded."""
    deployment = lookup.deployment(request.actor, name)
    ref = wanted.ref if wanted else ""
    return Status(202, shown(releases.deploy(request.actor, deployment, ref=ref, trigger="api")))


@router.post("/{name}/rollback", response={202: ShownRelease, **PROBLEMS}, operation_id="rollback")
@once
def rollback(request: Request, name: str, wanted: WantedRollback | None = None) -> Status[ShownRelease]:
    """Queue going back to a kept release, with its variables and without a rebuild."""
    deployment = lookup.deployment(request.actor, name)
    number = _in_range(wanted.release) if wanted else None
    return Status(202, shown(releases.rollback(request.actor, deployment, number=number, trigger="api")))


@router.post("/{name}/cancel", response={202: ShownRelease, **PROBLEMS}, operation_id="cancel")
def cancel(request: Request, name: str, wanted: WantedCancel | None = None) -> Status[ShownRelease]:
    """Stop a waiting or running release; what runs is killed."""
    deployment = lookup.deployment(request.actor, name)
    target = lookup.release(request.actor, name, wanted.release) if wanted and wanted.release is not None else None
    return Status(202, shown(releases.cancel(request.actor, deployment, release=target)))


@router.post("/{name}/inspect", response={202: ShownRelease, **PROBLEMS}, operation_id="inspect")
def inspect(request: Request, name: str) -> Status[ShownRelease]:
    """Look at the repository again; nothing of it runs. The plan tells what was found."""
    deployment = lookup.deployment(request.actor, name)
    return Status(202, shown(releases.inspect(request.actor, deployment, trigger="api")))


@router.get("/{name}/releases", response={200: Releases, **PROBLEMS}, operation_id="list_releases")
def index(
    request: Request,
    name: str,
    cursor: Annotated[int | None, Query(ge=1, lt=1 << 31)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Releases:
    """Newest first. Give `next_cursor` back as `cursor` for those before."""
    rows = lookup.deployment(request.actor, name).releases.exclude(number=None)
    if cursor is not None:
        rows = rows.filter(number__lt=cursor)
    rows = rows.select_related("triggered_by", "back_to").defer("variables", "facts", "plan_data", "evidence")
    found = list(rows.order_by("-number")[: limit + 1])
    return Releases(
        items=[ReleaseInList.model_validate(_row(row)) for row in found[:limit]],
        next_cursor=found[limit - 1].number if len(found) > limit else None,
    )


@router.get("/{name}/releases/{number}", response={200: ShownRelease, **PROBLEMS}, operation_id="show_release")
def show(request: Request, name: str, number: Number, wait: Wait = 0) -> ShownRelease:
    """One release with its steps. With `wait` the answer comes when it is over, or after that many seconds."""
    return shown(until(lambda: lookup.release(request.actor, name, number), lambda row: not row.is_open, wait))


def until(read: Callable[[], T], enough: Callable[[T], bool], seconds: float) -> T:
    """Read again and again, permission included, until it is enough or the time is over. No connection to the
    database is held in between."""
    end = time.monotonic() + seconds
    while True:
        found = read()
        if enough(found) or (left := end - time.monotonic()) <= 0:
            return found
        close_old_connections()
        time.sleep(min(LOOK_EVERY, left))


def shown(row: Release) -> ShownRelease:
    rest = {
        "deployment": row.deployment.name,
        "over": not row.is_open,
        "failure": row.failure,
        "evidence": [str(line) for line in row.evidence],
        "steps": [Step(name=s.name, state=s.state, note=s.note, seconds=s.seconds) for s in row.steps.all()],
    }
    return ShownRelease.model_validate({**_row(row), **rest})


def _row(row: Release) -> dict[str, object]:
    names = ("number", "kind", "state", "ref", "commit", "subject", "author", "trigger", "cause", "hint", "seconds")
    times = ("created_at", "started_at", "live_at", "finished_at")
    return {
        **{name: getattr(row, name) for name in (*names, *times)},
        "back_to": row.back_to.number if row.back_to else None,
        "kept": row.files_kept and row.state in (State.LIVE, State.RETIRED),
        "triggered_by": row.triggered_by.get_username() if row.triggered_by else None,
    }


def _in_range(number: int | None) -> int | None:
    """A number that no release has, rather than one that no column holds."""
    return number if number is None or 0 < number < 1 << 31 else 0
