"""Making and revoking tokens. The token itself is given once, when it is made; only its hash is kept."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest

from apps.api import signing_in
from apps.api.auth import PREFIX, digest
from apps.api.errors import Unauthenticated
from apps.api.models import ApiToken
from apps.core import audit
from apps.core.access import SCOPES, Actor
from apps.core.clock import now
from apps.core.errors import Forbidden, Invalid, Missing
from apps.core.models import Team, User

SIGNED_IN_FOR = 90
"""Days that a token from `webops login` lasts."""


def sign_in(request: HttpRequest, username: str, password: str, *, address: str | None) -> User:
    """The account behind a user name and password. One answer for every way to be wrong. Raises TooMany."""
    signing_in.begin(username, address)
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User) or not user.is_active:
        signing_in.refused(username, address)
        raise Unauthenticated(
            "User name or password is wrong.", hint="Try again, or ask an admin for a new password.", code="wrong_login"
        )
    signing_in.succeeded(user, address)
    return user


def issue(
    actor: Actor, *, name: str, scope: str, team: Team | None = None, days: int | None = None
) -> tuple[ApiToken, str]:
    """A new token and its only plain form. Only a token with the scope “admin” makes others: a narrower one could
    give itself a longer life. Raises Forbidden, Invalid."""
    _require_admin(actor)
    if scope not in SCOPES:
        raise Invalid(f"There is no scope “{scope}”.", fields={"scope": [f"Use one of: {', '.join(SCOPES)}."]})
    if not name.strip():
        raise Invalid("A token needs a name.", fields={"name": ["Say what it is for."]})
    secret = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        row = ApiToken.objects.create(
            user=actor.user,
            team_id=team.pk if team else actor.only_team,
            name=name.strip()[:80],
            prefix=secret[: len(PREFIX) + 4],
            digest=digest(secret),
            scope=scope,
            expires_at=now() + timedelta(days=days) if days else None,
        )
        audit.record(actor, "token.create", team=team, target=row.prefix, name=row.name, scope=scope)
    return row, secret


def revoke(actor: Actor, token_id: int, *, itself: bool = False) -> None:
    """End a token of one's own. Any token may end `itself`. Raises Missing, Forbidden."""
    if not itself:
        _require_admin(actor)
    rows = ApiToken.objects.filter(user=actor.user, pk=token_id)
    if actor.only_team is not None:
        rows = rows.filter(team_id=actor.only_team)
    with transaction.atomic():
        row = rows.first()
        if row is None:
            raise Missing("There is no such token, or it is not yours.", hint="List yours: webops tokens")
        audit.record(actor, "token.revoke", team=row.team, target=row.prefix, name=row.name)
        row.delete()


def _require_admin(actor: Actor) -> None:
    if actor.scope != "admin":
        raise Forbidden(
            f"This token has the scope “{actor.scope}”, which does not allow it.",
            hint="Sign in with “webops login”, or use a token with the scope “admin”.",
        )
