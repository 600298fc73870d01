"""Rate limits: counters in the database that grow in one statement each, so that no two processes lose a hit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from django.db import connection
from django.db.models import F

from apps.api.errors import TooMany
from apps.api.models import Counter
from apps.core.clock import now

UPSERT = """
INSERT INTO api_counters (key, hits, ends_at) VALUES (%s, 1, %s)
ON CONFLICT (key) DO UPDATE SET
    hits = CASE WHEN api_counters.ends_at <= %s THEN 1 ELSE api_counters.hits + 1 END,
    ends_at = CASE WHEN api_counters.ends_at <= %s THEN excluded.ends_at ELSE api_counters.ends_at END
RETURNING hits, ends_at
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` hits of one subject in `seconds`."""

    name: str
    limit: int
    seconds: int


REQUESTS = Rate("requests", 1200, 60)  # of one token
WRONG_TOKENS = Rate("wrong-tokens", 30, 60)  # from one address
SIGN_INS = Rate("sign-ins", 10, 900)  # of one account
SIGN_INS_FROM = Rate("sign-ins-from", 30, 900)  # from one network


@dataclass(frozen=True, slots=True)
class Usage:
    """Where a subject stands after a hit."""

    limit: int
    remaining: int
    reset: int  # seconds
    over: bool

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


def hit(rate: Rate, subject: str) -> Usage:
    """Count one. Windows of other subjects that are over are swept away when a new window begins."""
    at = int(now().timestamp())
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, [_key(rate, subject), at + rate.seconds, at, at])
        hits, ends_at = cursor.fetchone()
    if hits == 1:
        Counter.objects.filter(ends_at__lte=at).delete()
    return Usage(rate.limit, max(0, rate.limit - hits), max(1, ends_at - at), hits > rate.limit)


def check(usage: Usage, message: str) -> None:
    """Raises TooMany above the rate."""
    if usage.over:
        raise TooMany(message, wait=usage.reset)


def refuse_above(rate: Rate, subject: str, message: str) -> None:
    """Count one; raises TooMany above the rate."""
    check(hit(rate, subject), message)


def forget(rate: Rate, subject: str) -> None:
    """Begin again at nothing."""
    Counter.objects.filter(key=_key(rate, subject)).delete()


def forgive(rate: Rate, subject: str) -> None:
    """Take one hit back."""
    Counter.objects.filter(key=_key(rate, subject), hits__gt=0).update(hits=F("hits") - 1)


def _key(rate: Rate, subject: str) -> str:
    """What people typed does not stay readable in the table."""
    return f"{rate.name}:{hashlib.sha256(subject.encode('utf-8', 'replace')).hexdigest()[:40]}"
