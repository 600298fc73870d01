"""The Git servers that a team allows beside those of the platform's setting."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from ninja import Path, Router, Status

from apps.api import lookup
from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.api.idempotency import once
from apps.api.schema import Schema
from apps.core.access import Capability
from apps.core.actions import git_servers
from apps.core.models import GitServer

router = Router(tags=["git servers"])
ServerId = Annotated[int, Path(ge=1, lt=1 << 63)]


class Server(Schema):
    id: int
    team: str
    name: str
    port: int
    private: bool
    own_ca: bool
    created_at: datetime


class WantedServer(Schema):
    """`private` allows an address that is not public, for this name and port only. `ca_pem`: certificates to trust."""

    name: str
    port: int = 443
    private: bool = False
    ca_pem: str = ""
    team: str | None = None


class Servers(Schema):
    items: list[Server]


@router.get("", response={200: Servers, **PROBLEMS}, operation_id="list_git_servers")
def index(request: Request) -> Servers:
    rows = GitServer.objects.filter(team__in=request.actor.teams()).select_related("team")
    return Servers(items=[_shown(row) for row in rows.order_by("team__slug", "name", "port")])


@router.post("", response={201: Server, **PROBLEMS}, operation_id="add_git_server")
@once
def add(request: Request, wanted: WantedServer) -> Status[Server]:
    team = lookup.team(request.actor, wanted.team, Capability.ADMINISTER)
    row = git_servers.add(
        request.actor, team, name=wanted.name, port=wanted.port, private=wanted.private, ca_pem=wanted.ca_pem
    )
    return Status(201, _shown(row))


@router.delete("/{server_id}", response={204: None, **PROBLEMS}, operation_id="remove_git_server")
def remove(request: Request, server_id: ServerId) -> Status[None]:
    git_servers.remove(request.actor, lookup.git_server(request.actor, server_id))
    return Status(204, None)


def _shown(row: GitServer) -> Server:
    return Server(
        id=row.pk,
        team=row.team.slug,
        name=row.name,
        port=row.port,
        private=row.private,
        own_ca=bool(row.ca_pem),
        created_at=row.created_at,
    )
