"""What every way to sign in with a password shares: the limits and the audit log.

Failures count per account and per network, in rows and not in a cache, by the address of the connection and never by
what a header says. An account that is under attack still lets in whoever signed in from the same address before.
"""

from __future__ import annotations

import ipaddress
from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from apps.api import throttle
from apps.core import audit
from apps.core.access import Actor
from apps.core.clock import now
from apps.core.models import AuditRecord, User

CREATED = "session.create"
REMEMBERED = timedelta(days=30)
PREFIXES = {4: 24, 6: 64}
"""How many bits of an address are one network: what one person can get without effort."""


def begin(account: str, address: str | None) -> None:
    """Count an attempt before the password is looked at. Raises TooMany."""
    throttle.refuse_above(throttle.SIGN_INS_FROM, network(address), "Too many sign-ins from this network.")
    usage = throttle.hit(throttle.SIGN_INS, _subject(account))
    if usage.over and not _was_here(account, address):
        throttle.check(usage, "Too many sign-ins to this account.")


def refused(account: str, address: str | None) -> None:
    """The password was wrong, or there is no such account."""
    audit.record(None, "session.refused", team=None, target=account[:120], address=address or "")


def succeeded(user: User, address: str | None) -> None:
    """Somebody is in: the attempt does not count."""
    throttle.forget(throttle.SIGN_INS, str(user.pk))
    throttle.forgive(throttle.SIGN_INS_FROM, network(address))
    with transaction.atomic():
        audit.record(Actor(user, address=address), CREATED, team=None, target=user.get_username())


def network(address: str | None) -> str:
    """The network that an address is counted with; text that is no address is one of its own."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return str(ipaddress.ip_network((parsed, PREFIXES[parsed.version]), strict=False))


def _subject(account: str) -> str:
    """One counter for an account, whether it is named by user name or e-mail."""
    found = _user(account)
    return str(found.pk) if found else f"nobody:{account.strip().lower()}"


def _user(account: str) -> User | None:
    name = account.strip().replace("\x00", "")
    return User.objects.filter(Q(username__iexact=name) | Q(email__iexact=name)).first() if name else None


def _was_here(account: str, address: str | None) -> bool:
    user = _user(account)
    if user is None or not address:
        return False
    since = now() - REMEMBERED
    return AuditRecord.objects.filter(action=CREATED, actor=user, address=address, at__gte=since).exists()
