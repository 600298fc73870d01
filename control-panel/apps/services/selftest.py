"""What the server's own test of its walls last said, as an alert. A timer makes it hourly, outside of the panel."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from apps.core.clock import now
from apps.core.models import Host as HostRow
from apps.core.models import HostKind
from apps.services import alerts
from apps.services.models import Severity
from webops_host.ports import Host

RESULT = Path("/var/lib/webops/selftest.json")
LOOK_EVERY = timedelta(minutes=10)
OLD = timedelta(hours=2)
KIND = "selftest"


def look(row: HostRow, host: Host, stop: Callable[[], bool], result: Path = RESULT) -> str:
    """Raise an alert when a wall does not stand or nobody looked for two hours; resolve it when all is well."""
    if row.kind != HostKind.LINUX:
        return "no walls to test here"
    wrong = trouble(_read(result))
    if not wrong:
        alerts.resolve(KIND, row.name)
        return "the walls stand"
    alerts.raise_(
        KIND,
        row.name,
        f"The isolation between deployments is not what it should be: {wrong}",
        hint="Run “webops-admin selftest” on the server, and read docs/security.md.",
        severity=Severity.CRITICAL,
    )
    return wrong


def trouble(result: Mapping[str, Any] | None) -> str:
    """What is wrong, in a sentence; empty when nothing is."""
    if result is None:
        return "the self-test has left no result."
    if now().timestamp() - float(result.get("at", 0)) > OLD.total_seconds():
        return "the self-test has not run for two hours."
    if result.get("ok") is True:
        return ""
    open_ = [str(action.get("action")) for action in result.get("actions", ()) if action.get("outcome") == "allowed"]
    fallen = [str(layer.get("claim")) for layer in result.get("layers", ()) if layer.get("holds") is not True]
    units = [str(unit.get("unit")) for unit in result.get("units", ())]
    found = [
        *(f"a program may {action}" for action in open_),
        *(f"it does not hold that {claim}" for claim in fallen),
        *(f"{unit} runs with less than its sandbox" for unit in units),
    ]
    return f"{'; '.join(found[:3]) or result.get('error') or 'something was unclear'}."


def _read(file: Path) -> Mapping[str, Any] | None:
    try:
        data = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
