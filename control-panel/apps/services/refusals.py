"""What the daemons had to refuse, as an alert: a panel or worker that was taken over tries what it may have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

from apps.core.clock import now
from apps.core.models import Host as HostRow
from apps.services import alerts
from apps.services.models import Severity
from webops_host.ports import Host

TOLD = (Path("/run/webops-hostd/alarm.json"), Path("/run/webops-pgd/alarm.json"))
LOOK_EVERY = timedelta(minutes=1)
LASTS = timedelta(hours=1)
KIND = "daemon.refusals"


def look(row: HostRow, host: Host, stop: Callable[[], bool], told: Iterable[Path] = TOLD) -> str:
    """Raise an alert when a daemon said that it refused many requests at once; it lasts an hour beyond the last."""
    found = [text for text in map(_read, told) if text]
    if not found:
        alerts.resolve(KIND, row.name)
        return "nothing but mistakes"
    alerts.raise_(
        KIND,
        row.name,
        f"Somebody asks the daemons of this server for what they may not have: {'; '.join(found)}",
        hint="The panel or the worker may have been taken over. “journalctl -u webops-hostd -u webops-pgd” shows what "
        "was tried; docs/security.md says what can be had that way.",
        severity=Severity.CRITICAL,
    )
    return "; ".join(found)


def _read(file: Path) -> str:
    """What was told lately; empty when that was nothing."""
    try:
        data = json.loads(file.read_text())
        at, uid, reason = float(data["at"]), int(data["uid"]), str(data["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if now().timestamp() - at > LASTS.total_seconds():
        return ""
    return f"user {uid}, last refused with “{reason}”"
