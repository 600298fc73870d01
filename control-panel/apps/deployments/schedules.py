"""Schedules are rows; whichever worker takes the turn by a guarded UPDATE runs it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.db import connections

from apps.core.clock import now
from apps.core.models import Host as HostRow
from apps.deployments import cron, running
from apps.deployments.models import Schedule, Wish
from webops_host.errors import HostError
from webops_host.ports import Host
from webops_host.values import Console, ProjectLine

log = logging.getLogger("webops.schedules")
LIMIT_SECONDS = 900.0


def run_due(connect: Callable[[HostRow], Host], stop: Callable[[], bool], host: str = "local") -> int:
    """Start every command of a host whose time has come, each in a thread of its own. Missed turns are made up for
    once."""
    at = now()
    due = Schedule.objects.filter(enabled=True, next_at__lte=at, deployment__wish=Wish.UP, deployment__host__name=host)
    started = 0
    for row in due.select_related("deployment__host"):
        following = cron.parse(row.expression).next_after(at)
        mine = Schedule.objects.filter(pk=row.pk, next_at=row.next_at).update(next_at=following, last_at=at)
        if mine:
            threading.Thread(target=_run, args=(row, connect, stop), name=f"schedule-{row.pk}", daemon=True).start()
            started += 1
    return started


def _run(row: Schedule, connect: Callable[[HostRow], Host], stop: Callable[[], bool]) -> None:
    outcome = "did not run: nothing is live"
    tail: list[str] = []
    try:
        release = row.deployment.live
        if release is not None:
            host = connect(row.deployment.host)
            host.builds.run(
                running.runtime(release), ProjectLine(row.command), LIMIT_SECONDS, Console(tail.append, stop)
            )
            outcome = "done"
    except HostError as error:
        outcome = f"failed: {error.message} {tail[-1] if tail else ''}".strip()
    except Exception:  # the outer edge of a thread
        log.exception("schedule %s failed", row.pk)
        outcome = "failed inside WebOps; see the worker's log"
    finally:
        Schedule.objects.filter(pk=row.pk).update(last_outcome=outcome[:300])
        connections.close_all()
