"""What the programs of a deployment print, as a person may read it: without its secrets."""

from __future__ import annotations

from dataclasses import replace

from apps.core import hosts
from apps.deployments import hiding
from apps.deployments.models import Deployment
from webops_host.values import LogLine


def lines(deployment: Deployment, *, after: int = 0, limit: int = 500) -> tuple[LogLine, ...]:
    """Lines after a position, oldest first; without one the last of them. Raises HostError."""
    found = hosts.of(deployment.host).processes.logs(deployment.slug, after=after, limit=limit)
    if not found:
        return ()
    masked = hiding.of(deployment)
    return tuple(replace(line, text=masked(line.text)) for line in found)
