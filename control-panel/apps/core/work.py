"""Work in the background: a row with a state and a lease is the truth.

A worker claims a row with one guarded UPDATE, renews its lease while it works, and a reaper returns or fails rows whose
lease ran out. Claiming twice fails the second time, so a doorbell that rings twice is harmless.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models

from apps.core.clock import now

LEASE = timedelta(seconds=20)
"""How long a silent worker keeps what it claimed. It renews every quarter of this."""


class Leased(models.Model):
    """Columns of a row that a worker holds for a while. `fence` grows with every holder."""

    lease_owner = models.CharField(max_length=80, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveBigIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def is_held(self) -> bool:
        return bool(self.lease_owner) and self.lease_until is not None and self.lease_until > now()


def free(at: datetime) -> models.Q:
    """Rows that nobody holds at this moment."""
    return models.Q(lease_owner="") | models.Q(lease_until__lt=at) | models.Q(lease_until=None)


def claim(rows: models.QuerySet[Any], owner: str) -> bool:
    """Take the lease of the one row in `rows` if nobody holds it; the fence grows by one. False: somebody does."""
    at = now()
    taken = rows.filter(free(at)).update(lease_owner=owner, lease_until=at + LEASE, fence=models.F("fence") + 1)
    return bool(taken == 1)


def renew(rows: models.QuerySet[Any], owner: str, fence: int) -> bool:
    """Hold on to the lease. False: it was taken over, and the caller must stop at once."""
    held = rows.filter(lease_owner=owner, fence=fence).update(lease_until=now() + LEASE)
    return bool(held == 1)


def release(rows: models.QuerySet[Any], owner: str, fence: int) -> None:
    """Give the lease back. Giving back what was taken over does nothing."""
    rows.filter(lease_owner=owner, fence=fence).update(lease_owner="", lease_until=None)
