"""Tokens of one's own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from ninja import Path, Router, Status
from pydantic import Field

from apps.api import actions
from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.api.idempotency import once
from apps.api.models import ApiToken
from apps.api.schema import Schema
from apps.core import access

router = Router(tags=["tokens"])
TokenId = Annotated[int, Path(ge=1, lt=1 << 63)]


class Token(Schema):
    """`prefix` is how it begins, to tell tokens apart."""

    id: int
    name: str
    prefix: str
    scope: str
    team: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_address: str | None
    current: bool


class NewToken(Token):
    token: str


class WantedToken(Schema):
    """`scope`: read, deploy, write or admin. `team` limits it to one team. Without `days` it does not expire."""

    name: str = Field(max_length=80)
    scope: str = "deploy"
    team: str | None = None
    days: int | None = Field(default=None, ge=1, le=3650)


class Tokens(Schema):
    items: list[Token]


@router.get("", response={200: Tokens, **PROBLEMS}, operation_id="list_tokens")
def index(request: Request) -> Tokens:
    rows = ApiToken.objects.filter(user=request.actor.user).select_related("team")
    if request.actor.only_team is not None:
        rows = rows.filter(team_id=request.actor.only_team)
    return Tokens(items=[Token.model_validate(_shown(request, row)) for row in rows])


@router.post("", response={201: NewToken, **PROBLEMS}, operation_id="create_token")
@once
def create(request: Request, wanted: WantedToken) -> Status[NewToken]:
    """The token is shown this once. It can do no more than the one that asks."""
    team = access.one(request.actor.teams(), slug=wanted.team[:40].replace("\x00", "")) if wanted.team else None
    row, secret = actions.issue(
        request.actor, name=wanted.name.replace("\x00", ""), scope=wanted.scope, team=team, days=wanted.days
    )
    return Status(201, NewToken.model_validate({**_shown(request, row), "token": secret}))


@router.delete("/{token_id}", response={204: None, **PROBLEMS}, operation_id="revoke_token")
def revoke(request: Request, token_id: TokenId) -> Status[None]:
    actions.revoke(request.actor, token_id)
    return Status(204, None)


def _shown(request: Request, row: ApiToken) -> dict[str, object]:
    return {
        "id": row.pk,
        "name": row.name,
        "prefix": row.prefix,
        "scope": row.scope,
        "team": row.team.slug if row.team else None,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
        "last_used_address": row.last_used_address,
        "current": row.pk == request.token.pk,
    }
