"""Who the token belongs to, and what it may do."""

from __future__ import annotations

from datetime import datetime

from ninja import Router

from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.api.schema import Schema

router = Router(tags=["me"])


class Membership(Schema):
    team: str
    name: str
    role: str


class Me(Schema):
    username: str
    email: str
    scope: str
    token: str
    token_expires_at: datetime | None
    teams: list[Membership]


@router.get("", response={200: Me, **PROBLEMS}, operation_id="show_me")
def show(request: Request) -> Me:
    rows = request.actor.memberships().select_related("team").order_by("team__slug")
    return Me(
        username=request.actor.user.get_username(),
        email=request.actor.user.email,
        scope=request.actor.scope,
        token=request.token.name,
        token_expires_at=request.token.expires_at,
        teams=[Membership(team=row.team.slug, name=row.team.name, role=row.role) for row in rows],
    )
