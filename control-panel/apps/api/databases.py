"""Databases that deployments use; never their credentials."""

from __future__ import annotations

from datetime import datetime

from ninja import Router, Schema

from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.databases.models import Database

router = Router(tags=["databases"])


class ShownDatabase(Schema):
    name: str
    engine: str
    team: str
    host: str
    deployment: str | None
    created_at: datetime


class Databases(Schema):
    items: list[ShownDatabase]


@router.get("", response={200: Databases, **PROBLEMS}, operation_id="list_databases")
def index(request: Request) -> Databases:
    rows = Database.objects.visible_to(request.actor).select_related("team", "host", "deployment").defer("url")
    return Databases(items=[_shown(row) for row in rows.order_by("name")])


def _shown(row: Database) -> ShownDatabase:
    user = getattr(row, "deployment", None)
    return ShownDatabase(
        name=row.name,
        engine=row.engine,
        team=row.team.slug,
        host=row.host.name,
        deployment=user.name if user else None,
        created_at=row.created_at,
    )
