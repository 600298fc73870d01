"""Links that let somebody in once, to choose a password: the first owner, or one who can not sign in any more.

They are printed by a command on the server and by nothing else. Whoever comes first makes the first account; every
other link to do so is over with it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse

from apps.core import audit
from apps.core.access import Actor
from apps.core.clock import now
from apps.core.errors import Gone, Invalid, Missing
from apps.core.models import Membership, Role, SignInLink, Team, User

LASTS = timedelta(hours=1)


def make(user: User | None) -> str:
    """A new link, as an address to open: for an account that is there, or for the first one that is to be."""
    secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        SignInLink.objects.create(digest=_digest(secret), user=user, expires_at=now() + LASTS)
        audit.record(None, "sign_in_link.create", team=None, target=user.username if user else "")
    return f"{_origin()}{reverse('core:entrance', args=[secret])}"


def told(link: str) -> Iterator[str]:
    """A link in sentences for whoever reads the output of a command."""
    yield f"Open this to sign in. It works once, for {LASTS.seconds // 60} minutes:\n\n    {link}\n"


def owner_of(secret: str) -> User | None:
    """The account that an open link is for; None when it makes the first one. Raises Missing, Gone."""
    return _open(secret).user


def use(secret: str, username: str, password: str, *, address: str | None) -> User:
    """Use a link up: its account, with this password. Of any number at once exactly one gets through.
    Raises Missing, Gone, Invalid; with Invalid the link still works."""
    with transaction.atomic():
        link = _open(secret)
        user = link.user or User(username=username, is_staff=True, is_superuser=True)
        _check(user, password)
        unused = SignInLink.objects.filter(pk=link.pk, used_at=None, expires_at__gt=now())
        if not unused.update(used_at=now()):
            raise _over()
        team = None if link.user else _the_only_one()
        user.set_password(password)
        user.save()
        if team is not None:
            Membership.objects.create(team=team, user=user, role=Role.OWNER)
        action = "account.created" if team is not None else "account.recovered"
        audit.record(Actor(user, address=address), action, team=team, target=user.username)
    return user


def first_team() -> Team:
    """The team that the first account owns. Again: the same."""
    return Team.objects.get_or_create(slug="home", defaults={"name": "Home"})[0]


def first_is_given_out() -> bool:
    """Whether there is a link to make the first account that still works."""
    return SignInLink.objects.filter(user=None, used_at=None, expires_at__gt=now()).exists()


def _the_only_one() -> Team:
    """The first team, held until the end of the transaction, while there is no account. Raises Gone."""
    team = Team.objects.select_for_update().get(pk=first_team().pk)
    if User.objects.exists():
        raise _over()
    return team


def _open(secret: str) -> SignInLink:
    link = SignInLink.objects.select_related("user").filter(digest=_digest(secret)).first()
    if link is None:
        raise Missing("There is no such link.", hint="Copy all of it, up to the last letter.")
    stale = link.used_at is not None or link.expires_at <= now()
    if stale or (not link.user.is_active if link.user else User.objects.exists()):
        raise _over()
    return link


def _over() -> Gone:
    return Gone(
        "This link was used already, or its hour is over.",
        hint="Sign in, or have another one printed on the server: docs/operations.md says how.",
    )


def _check(user: User, password: str) -> None:
    """Raises Invalid with the field."""
    wrong: dict[str, list[str]] = {}
    try:
        user.clean_fields(exclude=["password", "email"])
    except ValidationError as error:
        wrong["username"] = [message for messages in error.message_dict.values() for message in messages]
    try:
        validate_password(password, user)
    except ValidationError as error:
        wrong["password"] = list(error.messages)
    if wrong:
        raise Invalid("That can not be used.", fields=wrong)


def _origin() -> str:
    """From the settings, never from what a request says of itself."""
    if settings.ENV.panel_host:
        return f"{'https' if settings.PRODUCTION else 'http'}://{settings.ENV.panel_host}"
    return f"http://{settings.ENV.bind}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
