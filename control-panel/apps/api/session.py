"""Signing in with a user name and password for a token, as `webops login` does, and giving that token back."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from apps.api import actions
from apps.api.auth import Request, TokenAuth, address
from apps.api.errors import PROBLEMS
from apps.api.schema import Schema
from apps.core.access import Actor

router = Router(tags=["session"])


class SignIn(Schema):
    username: str = Field(max_length=254)
    password: str = Field(max_length=1024)
    client: str = Field(default="", max_length=60, description="Where the token will be kept, such as a host name")


class Session(Schema):
    token: str
    id: int
    username: str
    scope: str
    expires_at: datetime | None


@router.post("", response={201: Session, **PROBLEMS}, operation_id="sign_in", auth=None)
def create(request: HttpRequest, wanted: SignIn) -> Status[Session]:
    """Sign in. The token is shown this once and lasts 90 days."""
    where = address(request)
    user = actions.sign_in(request, wanted.username, wanted.password, address=where)
    name = f"webops login on {wanted.client}" if wanted.client.strip() else "webops login"
    row, secret = actions.issue(Actor(user, address=where), name=name, scope="admin", days=actions.SIGNED_IN_FOR)
    return Status(
        201,
        Session(token=secret, id=row.pk, username=user.username, scope=row.scope, expires_at=row.expires_at),
    )


@router.delete("", response={204: None, **PROBLEMS}, operation_id="sign_out", auth=TokenAuth())
def end(request: Request) -> Status[None]:
    """Revoke the token that this request came with."""
    actions.revoke(request.actor, request.token.pk, itself=True)
    return Status(204, None)
