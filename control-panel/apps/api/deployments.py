"""Deployments: making, reading, changing, removing them, and their power switch."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.db import transaction
from ninja import Query, Router, Status
from pydantic import Field, JsonValue, StringConstraints

from apps.api import errands as doing
from apps.api import lookup
from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.api.idempotency import once
from apps.api.schema import Schema
from apps.core import hosts
from apps.core.access import Capability
from apps.deployments import errands, pending, status
from apps.deployments.actions import deployments, power, releases, variables
from apps.deployments.models import Deployment, Errand, Release

router = Router(tags=["deployments"])
Text = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class LiveRelease(Schema):
    number: int
    commit: str
    subject: str
    live_at: datetime | None


class OpenRelease(Schema):
    number: int | None
    kind: str
    state: str


class ShownDeployment(Schema):
    """`status` is asked of the machine now; `release` is the number of what is live. Never a secret."""

    name: str
    team: str
    url: str
    status: str
    reason: str
    kind: str
    repository: str
    ref: str
    root: str
    username: str
    has_token: bool
    release: int | None
    commit: str
    live: LiveRelease | None
    open_release: OpenRelease | None
    wish: str
    database: str | None
    variables_not_applied: bool
    keep_releases: int
    overrides: dict[str, JsonValue]
    errand: doing.ShownErrand | None
    created_at: datetime


class Deployments(Schema):
    items: list[ShownDeployment]


class WantedDeployment(Schema):
    """`token` lets a private repository be read. `team` may be left out by a member of one team."""

    repository: str
    name: str = ""
    ref: str = ""
    root: str = ""
    username: Text = ""
    token: Text = ""
    team: str | None = None
    variables: dict[str, str] = Field(default_factory=dict)
    dotenv: str = Field(default="", max_length=1024 * 1024, description="Text of a .env file; `variables` go before it")
    overrides: dict[str, JsonValue] = Field(default_factory=dict)
    deploy: bool = Field(default=True, description="Queue the first release at once")


class Changes(Schema):
    """What is left out stays. Changes apply with the next release."""

    repository: str | None = None
    ref: str | None = None
    root: str | None = None
    username: Text | None = None
    token: Text | None = None
    keep_releases: int | None = None
    overrides: dict[str, JsonValue] | None = None


@router.get("", response={200: Deployments, **PROBLEMS}, operation_id="list_deployments")
def index(request: Request) -> Deployments:
    rows = Deployment.objects.visible_to(request.actor).select_related("team", "host", "database").with_releases()
    return Deployments(items=[shown(row, in_list=True) for row in rows.order_by("name")])


@router.post("", response={201: ShownDeployment, **PROBLEMS}, operation_id="create_deployment")
@once
def create(request: Request, wanted: WantedDeployment) -> Status[ShownDeployment]:
    """Make a deployment with its variables and queue its first release: all of it, or nothing."""
    actor = request.actor
    team = lookup.team(actor, wanted.team, Capability.CONFIGURE)
    filled = deployments.Wanted(
        repository=wanted.repository,
        name=wanted.name,
        ref=wanted.ref,
        root=wanted.root,
        username=wanted.username,
        token=wanted.token,
    )
    with transaction.atomic():
        made = deployments.create(actor, team, filled)
        if wanted.dotenv:
            variables.import_dotenv(actor, made, wanted.dotenv)
        if wanted.variables:
            variables.set_many(actor, made, wanted.variables)
        if wanted.overrides:
            deployments.change(actor, made, overrides_=wanted.overrides)
        if wanted.deploy:
            releases.deploy(actor, made, trigger="api")
    return Status(201, shown(lookup.whole(actor, made.name)))


@router.get("/{name}", response={200: ShownDeployment, **PROBLEMS}, operation_id="show_deployment")
def show(request: Request, name: str) -> ShownDeployment:
    return shown(lookup.whole(request.actor, name))


@router.patch("/{name}", response={200: ShownDeployment, **PROBLEMS}, operation_id="change_deployment")
def change(request: Request, name: str, changes: Changes) -> ShownDeployment:
    deployment = lookup.deployment(request.actor, name)
    given: dict[str, Any] = {key: value for key, value in changes.dict(exclude_unset=True).items() if value is not None}
    if "overrides" in given:
        given["overrides_"] = given.pop("overrides")
    deployments.change(request.actor, deployment, **given)
    return shown(lookup.whole(request.actor, name))


@router.delete("/{name}", response={202: ShownDeployment, **PROBLEMS}, operation_id="delete_deployment")
def delete(
    request: Request, name: str, confirm: Annotated[str, Query(description="Its name, once more")] = ""
) -> Status[ShownDeployment]:
    """Remove it with its releases, files and database. It is gone when it is no longer found."""
    deployments.remove(request.actor, lookup.deployment(request.actor, name), confirm=confirm)
    return Status(202, shown(lookup.whole(request.actor, name)))


@router.post("/{name}/start", response={202: ShownDeployment, **PROBLEMS}, operation_id="start_deployment")
def start(request: Request, name: str, wait: doing.Wait = 0) -> Status[ShownDeployment]:
    """Have it running and its site served.

    The worker does it; with `wait` the answer comes once it is done."""
    return _pressed(request, name, power.start(request.actor, lookup.deployment(request.actor, name)), wait)


@router.post("/{name}/stop", response={202: ShownDeployment, **PROBLEMS}, operation_id="stop_deployment")
def stop(request: Request, name: str, wait: doing.Wait = 0) -> Status[ShownDeployment]:
    """Stop its processes and its site; nothing is removed.

    The worker does it; with `wait` the answer comes once it is done."""
    return _pressed(request, name, power.stop(request.actor, lookup.deployment(request.actor, name)), wait)


@router.post("/{name}/restart", response={202: ShownDeployment, **PROBLEMS}, operation_id="restart_deployment")
def restart(request: Request, name: str, wait: doing.Wait = 0) -> Status[ShownDeployment]:
    """Stop and start its processes.

    The worker does it; with `wait` the answer comes once it is done."""
    return _pressed(request, name, power.restart(request.actor, lookup.deployment(request.actor, name)), wait)


def _pressed(request: Request, name: str, errand: Errand, seconds: float) -> Status[ShownDeployment]:
    doing.wait(request, name, errand, seconds)
    return Status(202, shown(lookup.whole(request.actor, name)))


def shown(row: Deployment, *, in_list: bool = False) -> ShownDeployment:
    live, waiting = row.live, row.open_release
    now = status.of(row, hosts.of(row.host))
    return ShownDeployment(
        name=row.name,
        team=row.team.slug,
        url=row.url,
        status=now.condition,
        reason=now.reason,
        kind=row.kind,
        repository=row.repository,
        ref=row.ref,
        root=row.root,
        username=row.username,
        has_token=bool(row.token),
        release=live.number if live else None,
        commit=live.commit if live else "",
        live=_live(live),
        open_release=OpenRelease(number=waiting.number, kind=waiting.kind, state=waiting.state) if waiting else None,
        wish=row.wish,
        database=row.database.name if row.database else None,
        variables_not_applied=pending.not_applied(row, live),
        keep_releases=row.keep_releases,
        overrides=row.overrides,
        errand=None if in_list else doing.shown(errands.standing(row)),
        created_at=row.created_at,
    )


def _live(live: Release | None) -> LiveRelease | None:
    if live is None:
        return None
    return LiveRelease(number=live.number or 0, commit=live.commit, subject=live.subject, live_at=live.live_at)
