"""Start-up checks: states in which the panel must not serve."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.core.checks import CheckMessage, Critical, Tags, register
from django.db import DatabaseError

from apps.core.models import User

DEVELOPMENT_PASSWORD = "admin123"  # noqa: S105 - known to all on purpose; this file keeps it from being used


def is_loopback(bind: str) -> bool:
    """Whether an address with a port (`127.0.0.1:8800`, `[::1]:8800`, `localhost:8800`) is this machine's own."""
    name = bind.rsplit(":", 1)[0].strip("[]")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@register(Tags.security)
def development_account(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The development account may exist only while nobody else can reach the panel."""
    if is_loopback(settings.ENV.bind) and not settings.PRODUCTION:
        return []
    return [
        Critical(
            f"The account “{name}” has the development password.",
            hint=f"Set another one first: python manage.py changepassword {name}",
            id="webops.E001",
        )
        for name in accounts_with_development_password()
    ]


def accounts_with_development_password() -> list[str]:
    """User names; empty when there is no database yet."""
    try:
        rows = list(User.objects.filter(is_active=True).values_list("username", "password"))
    except DatabaseError:
        return []
    return [name for name, password in rows if check_password(DEVELOPMENT_PASSWORD, password)]
