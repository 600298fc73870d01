"""Work in the background: a row with a state and a lease is the truth.

A worker claims a row with one guarded UPDATE, renews its lease while it works, and a reaper returns or fails rows whose
lease ran out. Claiming twice fails the second time, so a doorbell that rings twice is harmless.
"""

from __future__ import annotations

import os
import socket
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import models

from apps.core.clock import now

LEASE = timedelta(seconds=20)
"""How long a silent worker keeps what it claimed. It renews every quarter of this."""
PROC = Path("/proc")


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


def new_owner() -> str:
    """A name for a worker: machine, process, when that process began, and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{_began(os.getpid()) or ''}:{uuid.uuid4().hex[:6]}"


def is_gone(owner: str, proc: Path = PROC) -> bool:
    """Whether an owner was a process of this machine that is no more. What can not be known is not gone: processes of
    another machine, and those that live and that `proc` does not show (systemd.exec(5), ProtectProc=)."""
    machine, _, rest = owner.partition(":")
    pid, _, rest = rest.partition(":")
    if machine != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)  # kill(2): nothing is sent, only the existence is checked
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    began = _began(int(pid), proc)
    return began is not None and began != rest.partition(":")[0]


def _began(pid: int, proc: Path = PROC) -> str | None:
    """When a process started, in clock ticks since boot (proc_pid_stat(5), field 22); empty for one that has ended
    and that nobody waited for, None for one that is not shown."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except OSError:
        return None
    state, *_ = fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[19]


def expire_dead(rows: models.QuerySet[Any]) -> None:
    """End the leases among `rows` whose owners died on this machine, without waiting for their time."""
    owners = rows.exclude(lease_owner="").values_list("lease_owner", flat=True).distinct()
    gone = [owner for owner in owners if is_gone(owner)]
    if gone:
        rows.filter(lease_owner__in=gone).update(lease_until=now())
