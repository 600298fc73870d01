"""Who asks: a token in the Authorization header, and nothing else. No cookie counts here, so nothing can be forged."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

from django.db.models import Q
from django.http import HttpRequest
from ninja.security import HttpBearer

from apps.api import throttle
from apps.api.models import ApiToken
from apps.core.access import Actor
from apps.core.clock import now

PREFIX = "wo_"
MARKED_EVERY = timedelta(minutes=1)


class Request(HttpRequest):
    """A request of the API after its token was accepted."""

    actor: Actor
    token: ApiToken
    request_id: str


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def address(request: HttpRequest) -> str | None:
    return request.META.get("REMOTE_ADDR") or None


def find(secret: str) -> ApiToken | None:
    """The token as it is now: neither revoked nor expired, of a person whose account is active."""
    if not secret.startswith(PREFIX):
        return None
    wanted = digest(secret)
    row = ApiToken.objects.select_related("user").filter(digest=wanted, user__is_active=True).first()
    if row is None or not hmac.compare_digest(row.digest, wanted) or not is_valid(row):
        return None
    return row


def is_valid(row: ApiToken) -> bool:
    return row.expires_at is None or row.expires_at > now()


def still_valid(token_id: int) -> bool:
    """Whether a token that opened a long answer could still open it."""
    rows = ApiToken.objects.filter(pk=token_id, user__is_active=True)
    return rows.filter(Q(expires_at=None) | Q(expires_at__gt=now())).exists()


class TokenAuth(HttpBearer):
    """Gives the request its `actor` and `token`."""

    def authenticate(self, request: HttpRequest, token: str) -> Actor | None:
        row = find(token)
        where = address(request)
        if row is None:
            throttle.refuse_above(throttle.WRONG_TOKENS, where or "", "Too many wrong tokens came from this address.")
            return None
        usage = throttle.hit(throttle.REQUESTS, str(row.pk))
        request.usage = usage  # type: ignore[attr-defined]  # the edge puts it into headers
        throttle.check(usage, "This token was used too often.")
        _mark_used(row, where)
        actor = Actor(row.user, address=where, token=row.prefix, scope=row.scope, only_team=row.team_id)
        request.actor = actor  # type: ignore[attr-defined]  # Request
        request.token = row  # type: ignore[attr-defined]  # Request
        return actor


def _mark_used(row: ApiToken, where: str | None) -> None:
    at = now()
    if row.last_used_at is None or row.last_used_at < at - MARKED_EVERY:
        ApiToken.objects.filter(pk=row.pk).update(last_used_at=at, last_used_address=where)
