"""The page of a team's databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from apps.core import access, audit, hosts
from apps.core.access import POLICY, Capability
from apps.core.doors import Allowed, Request, needs
from apps.core.models import Role
from apps.databases.models import Database
from webops_host.errors import HostError
from webops_host.names import DeploymentName
from webops_host.ports import Host

ASKED_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One database. `size` is None when the host did not say; `url` is None while it is hidden."""

    database: Database
    size: int | None
    url: str | None
    may_read: Allowed


@require_safe
def show(request: Request) -> HttpResponse:
    return _page(request)


@require_POST
def reveal(request: Request, pk: int) -> HttpResponse:
    """Show one connection URL; that somebody looked is noted."""
    database = access.one(Database.objects.visible_to(request.actor).select_related("team"), pk=pk)
    access.require(request.actor, Capability.READ_SECRETS, database.team)
    audit.record(request.actor, "database.read", team=database.team, target=database.name)
    return _page(request, revealed=database)


def _page(request: Request, *, revealed: Database | None = None) -> HttpResponse:
    rows = Database.objects.visible_to(request.actor).select_related("team", "host", "deployment")
    databases = list(rows.defer("url", "deployment__token").order_by("name"))
    roles = {team: Role(role) for team, role in request.actor.memberships().values_list("team", "role")}
    with ThreadPoolExecutor(ASKED_AT_ONCE) as asking:
        sizes = list(asking.map(_size, [hosts.of(row.host) for row in databases], [row.name for row in databases]))
    shown = [
        Row(
            database=row,
            size=size,
            url=revealed.url if revealed is not None and revealed.pk == row.pk else None,
            may_read=Allowed(
                row.team_id in roles and Capability.READ_SECRETS in POLICY[roles[row.team_id]],
                needs(Capability.READ_SECRETS),
            ),
        )
        for row, size in zip(databases, sizes, strict=True)
    ]
    return render(request, "databases/list.html", {"rows": shown})


def _size(host: Host, name: str) -> int | None:
    try:
        return host.databases.size(DeploymentName(name))
    except HostError:
        return None
