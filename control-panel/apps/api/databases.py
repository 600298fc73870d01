"""Databases that deployments use; never their credentials. What takes a while is an errand that the worker does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Path, Query, Router, Status

from apps.api import lookup
from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.api.releases import until
from apps.api.schema import Schema
from apps.core import access, hosts
from apps.core.access import Capability
from apps.core.errors import Conflict, Missing
from apps.databases import downloads
from apps.databases.models import Database
from apps.deployments.actions import databases
from apps.deployments.models import Deployment, Errand
from webops_host.database_values import PIECE, DatabaseFacts, Dump
from webops_host.errors import BadValue, NotFound
from webops_host.names import DumpId

router = Router(tags=["databases"])
Wait = Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the end before answering")]
ErrandId = Annotated[int, Path(ge=1, lt=1 << 63)]
BINARY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
FILE = {"responses": {200: {"description": "The file", **BINARY}}}


class ShownDatabase(Schema):
    name: str
    engine: str
    team: str
    host: str
    deployment: str | None
    created_at: datetime


class Databases(Schema):
    items: list[ShownDatabase]


class ShownDump(Schema):
    id: str
    at: datetime
    bytes: int
    form: str
    origin: str
    tables: int
    rows: int
    version: str


class DatabaseNow(ShownDatabase):
    """As the server says it now. `kept_since` is when a restore put the database before aside; `rotating` while two
    passwords are valid."""

    version: str
    bytes: int
    tables: int
    connections: int
    connection_limit: int
    longest_query: float
    kept_since: datetime | None
    rotating: bool
    dumps: list[ShownDump]


class DatabaseErrand(Schema):
    """Work that was asked for. `over` once it has ended, well (`done`) or not (`failed`, `cancelled`)."""

    id: int
    kind: str
    state: str
    over: bool
    outcome: str
    hint: str
    created_at: datetime
    finished_at: datetime | None


class WantedRestore(Schema):
    dump: str


class WantedClone(Schema):
    source: str


@router.get("", response={200: Databases, **PROBLEMS}, operation_id="list_databases")
def index(request: Request) -> Databases:
    rows = Database.objects.visible_to(request.actor).select_related("team", "host", "deployment")
    return Databases(items=[_shown(row) for row in rows.defer("url", "old_url").order_by("name")])


@router.get("/{name}", response={200: DatabaseNow, **PROBLEMS}, operation_id="show_database")
def show(request: Request, name: str) -> DatabaseNow:
    """What it is now, and its dumps, newest first."""
    deployment = lookup.deployment(request.actor, name)
    if deployment.database is None:
        raise Missing(f"{deployment} has no database.", hint="It gets one with its first release.")
    host = hosts.of(deployment.host)
    return _now(deployment.database, host.databases.facts(deployment.slug), host.databases.dumps(deployment.slug))


@router.post("/{name}/rotate", response={202: DatabaseErrand, **PROBLEMS}, operation_id="rotate_database")
def rotate(request: Request, name: str) -> Status[DatabaseErrand]:
    """A new password without downtime: a release brings it to what runs, and the old one ends with that."""
    return _asked(databases.rotate(request.actor, lookup.deployment(request.actor, name)))


@router.post("/{name}/dumps", response={202: DatabaseErrand, **PROBLEMS}, operation_id="dump_database")
def dump(request: Request, name: str) -> Status[DatabaseErrand]:
    """Write everything in it to a file of the platform."""
    return _asked(databases.dump(request.actor, lookup.deployment(request.actor, name)))


@router.post(
    "/{name}/uploads",
    response={202: DatabaseErrand, **PROBLEMS},
    operation_id="upload_dump",
    openapi_extra={"requestBody": {"required": True, **BINARY}},
)
def upload(request: Request, name: str) -> Status[DatabaseErrand]:
    """The body is a dump that was made elsewhere: pg_dump's own form, or plain SQL. It is read whole and kept as a
    dump; nothing is restored yet."""
    deployment = lookup.deployment(request.actor, name)
    return _asked(databases.upload(request.actor, deployment, _chunks(request)))


@router.get("/{name}/dumps/{dump}", response={200: None, **PROBLEMS}, operation_id="download_dump", openapi_extra=FILE)
def download(request: Request, name: str, dump: str) -> HttpResponseBase:
    """The file of a dump."""
    deployment, wanted = lookup.deployment(request.actor, name), _dump(dump)
    access.require(request.actor, Capability.READ_SECRETS, deployment.team)
    host = hosts.of(deployment.host)
    try:
        known = downloads.find(host, deployment.slug, wanted)
    except NotFound as error:
        raise Missing(error.message, hint=error.hint) from None
    databases.download(request.actor, deployment, wanted)
    return downloads.answer(request, host, deployment.slug, known)


@router.delete("/{name}/dumps/{dump}", response={202: DatabaseErrand, **PROBLEMS}, operation_id="discard_dump")
def discard(request: Request, name: str, dump: str) -> Status[DatabaseErrand]:
    """Remove a dump for good."""
    return _asked(databases.discard(request.actor, lookup.deployment(request.actor, name), _dump(dump)))


@router.post("/{name}/restore", response={202: DatabaseErrand, **PROBLEMS}, operation_id="restore_database")
def restore(request: Request, name: str, wanted: WantedRestore) -> Status[DatabaseErrand]:
    """Fill a new database from a dump and let it take this one's place. The one before is kept for a week."""
    deployment = lookup.deployment(request.actor, name)
    return _asked(databases.restore(request.actor, deployment, _dump(wanted.dump)))


@router.post("/{name}/clone", response={202: DatabaseErrand, **PROBLEMS}, operation_id="clone_database")
def clone(request: Request, name: str, wanted: WantedClone) -> Status[DatabaseErrand]:
    """The same from what the database of another deployment holds now. A deployment without a database gets one."""
    deployment = lookup.deployment(request.actor, name)
    source = lookup.deployment(request.actor, wanted.source).database
    if source is None:
        raise Conflict(f"{wanted.source} has no database.", hint="It gets one with its first release.")
    return _asked(databases.clone(request.actor, deployment, source))


@router.post("/{name}/revert", response={202: DatabaseErrand, **PROBLEMS}, operation_id="revert_database")
def revert(request: Request, name: str) -> Status[DatabaseErrand]:
    """Go back to the database from before the last restore."""
    return _asked(databases.revert(request.actor, lookup.deployment(request.actor, name)))


@router.post("/{name}/confirm", response={202: DatabaseErrand, **PROBLEMS}, operation_id="confirm_database")
def confirm(request: Request, name: str) -> Status[DatabaseErrand]:
    """Remove the database from before the last restore for good."""
    return _asked(databases.confirm(request.actor, lookup.deployment(request.actor, name)))


@router.get("/{name}/errands/{errand_id}", response={200: DatabaseErrand, **PROBLEMS}, operation_id="show_errand")
def errand(request: Request, name: str, errand_id: ErrandId, wait: Wait = 0) -> DatabaseErrand:
    """What became of something that was asked for. With `wait` the answer comes when it is over."""

    def read() -> Errand:
        rows = lookup.deployment(request.actor, name).errands.filter(kind__in=databases.KINDS).defer("secret")
        return access.one(rows, pk=errand_id)

    return _errand(until(read, lambda row: not row.is_open, wait))


def _asked(row: Errand) -> Status[DatabaseErrand]:
    return Status(202, _errand(row))


def _errand(row: Errand) -> DatabaseErrand:
    names = ("kind", "state", "outcome", "hint", "created_at", "finished_at")
    return DatabaseErrand(id=row.pk, over=not row.is_open, **{name: getattr(row, name) for name in names})


def _chunks(request: HttpRequest) -> Iterator[bytes]:
    while chunk := request.read(PIECE):
        yield chunk


def _dump(text: str) -> DumpId:
    try:
        return DumpId(text)
    except BadValue:
        raise Missing("There is no such dump.", hint="List those there are.") from None


def _now(row: Database, facts: DatabaseFacts, dumps: tuple[Dump, ...]) -> DatabaseNow:
    names = ("version", "bytes", "tables", "connections", "connection_limit", "longest_query", "rotating")
    return DatabaseNow(
        **_shown(row).model_dump(),
        **{name: getattr(facts, name) for name in names},
        kept_since=datetime.fromtimestamp(facts.kept_since, UTC) if facts.kept_since else None,
        dumps=[_shown_dump(one) for one in dumps],
    )


def _shown_dump(one: Dump) -> ShownDump:
    names = ("id", "bytes", "form", "origin", "tables", "rows", "version")
    return ShownDump(at=datetime.fromtimestamp(one.at, UTC), **{name: getattr(one, name) for name in names})


def _shown(row: Database) -> ShownDatabase:
    user: Deployment | None = getattr(row, "deployment", None)
    return ShownDatabase(
        name=row.name,
        engine=row.engine,
        team=row.team.slug,
        host=row.host.name,
        deployment=user.name if user else None,
        created_at=row.created_at,
    )
