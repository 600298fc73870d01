"""Variables that were changed since what is live was made: they apply with the next release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from apps.deployments.models import Deployment, Release


def not_applied(deployment: Deployment, live: Release | None) -> bool:
    """Whether somebody changed a variable after the variables of the live release were put together."""
    changed = deployment.variables_changed_at
    if live is None or changed is None:
        return False
    made = _made(live)
    return made is None or changed > made


def applied(live: Release | None) -> Mapping[str, str]:
    """The variables that what is live was started with."""
    snapshot: dict[str, str] = json.loads(live.variables or "{}") if live else {}
    return snapshot


def _made(live: Release) -> datetime | None:
    """When they were put together: with the release whose files it runs, which for a rollback is an older one."""
    if hasattr(live, "variables_at"):
        found: datetime | None = live.variables_at
        return found
    return (
        Release.objects.filter(deployment=live.deployment_id, number=live.files)
        .values_list("started_at", flat=True)
        .first()
    )
