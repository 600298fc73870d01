"""How the pages of the account (allauth) behave here: nobody signs up by themselves, signing in has the API's limits,
and what happens to an account is in the audit log."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.db import transaction
from django.http import HttpRequest

from apps.api import signing_in
from apps.api.auth import address
from apps.api.errors import TooMany
from apps.core import audit
from apps.core.access import Actor
from apps.core.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Ours instead of allauth's, which counts in the cache and knows nothing of the API."""
        try:
            signing_in.begin(_account(credentials), address(request))
        except TooMany:
            raise self.validation_error("too_many_login_attempts") from None

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        signing_in.refused(_account(credentials), address(request))

    def login(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        signing_in.succeeded(user, address(request))

    def logout(self, request: HttpRequest) -> None:
        user = request.user
        if isinstance(user, User):
            with transaction.atomic():
                audit.record(Actor(user, address=address(request)), "session.end", team=None, target=user.username)
        super().logout(request)

    def set_password(self, user: User, password: str) -> None:
        with transaction.atomic():
            super().set_password(user, password)
            where = address(self.request) if self.request is not None else None
            audit.record(Actor(user, address=where), "password.change", team=None, target=user.username)


def _account(credentials: dict[str, Any]) -> str:
    return str(credentials.get("username") or credentials.get("email") or "")
