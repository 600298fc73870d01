"""Schedules are rows. Where the host keeps no time, whichever worker takes the turn by a guarded UPDATE runs it, and
keeps what came of it; a host that does is looked after in `timers`."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from django.db import connections

from apps.core.clock import now
from apps.core.models import Host as HostRow
from apps.deployments import hiding, running
from apps.deployments.models import Deployment, Schedule, ScheduleRun, Wish, WorkState
from webops_host import cron
from webops_host.errors import Cancelled, HostError
from webops_host.ports import Host
from webops_host.timed_values import LONGEST, TAIL
from webops_host.values import Console, ProjectLine

log = logging.getLogger("webops.schedules")
LIMIT_SECONDS = 900.0
KEPT = 100
"""Runs of a deployment that are kept."""


def run_due(connect: Callable[[HostRow], Host], stop: Callable[[], bool], host: str = "local") -> int:
    """Start every command whose time has come, each in a thread of its own; on a host that keeps no time itself. Missed
    turns are made up for once."""
    at = now()
    ours = Schedule.objects.filter(by_host=False, enabled=True, deployment__host__name=host)
    due = ours.filter(next_at__lte=at, deployment__wish=Wish.UP)
    started = 0
    for row in due.select_related("deployment__host", "deployment__database"):
        following = cron.parse(row.expression).next_after(at)
        mine = Schedule.objects.filter(pk=row.pk, next_at=row.next_at).update(next_at=following, last_at=at)
        if mine:
            threading.Thread(target=_thread, args=(row, connect, stop), name=f"schedule-{row.pk}", daemon=True).start()
            started += 1
    return started


def _thread(row: Schedule, connect: Callable[[HostRow], Host], stop: Callable[[], bool]) -> None:
    try:
        perform(row, connect(row.deployment.host), stop)
    except Exception:  # the outer edge of a thread
        log.exception("schedule %s failed", row.pk)
    finally:
        connections.close_all()


def perform(row: Schedule, host: Host, stop: Callable[[], bool]) -> ScheduleRun:
    """Run it once, and keep what came of it and the end of what it printed."""
    run = ScheduleRun.objects.create(
        deployment=row.deployment, schedule=row, expression=row.expression, command=row.command, started_at=now()
    )
    masked = hiding.of(row.deployment)
    tail: deque[str] = deque(maxlen=TAIL)
    run.state, run.outcome = WorkState.FAILED, "did not run: nothing is live"
    try:
        release = row.deployment.live
        if release is not None:
            console = Console(lambda text: tail.append(masked(text)[:LONGEST].replace("\x00", "")), stop)
            host.builds.run(running.runtime(release), ProjectLine(row.command), LIMIT_SECONDS, console)
            run.state, run.outcome, run.exit_status = WorkState.DONE, "done", 0
    except Cancelled:
        run.state, run.outcome = WorkState.CANCELLED, "ended with the worker"
    except HostError as error:
        status = error.facts.get("status")
        run.exit_status = status if isinstance(status, int) else None
        run.outcome = masked(f"failed: {error.message} {tail[-1] if tail else ''}".strip())
    except Exception:  # the outer edge of background work
        log.exception("schedule %s failed", row.pk)
        run.outcome = "failed inside WebOps; see the worker's log"
    run.tail, run.outcome, run.finished_at = list(tail), run.outcome[:300], now()
    run.save()
    Schedule.objects.filter(pk=row.pk).update(last_outcome=run.outcome)
    forget_old(row.deployment)
    return run


def forget_old(deployment: Deployment) -> None:
    """Remove the runs beyond those that are kept. Again: nothing."""
    old = list(deployment.schedule_runs.order_by("-pk").values_list("pk", flat=True)[KEPT:])
    ScheduleRun.objects.filter(pk__in=old).delete()


def reap(host: str) -> int:
    """End the rows of runs that can not be going on any more: their worker ended. Returns how many. Again: 0."""
    began_before = now() - timedelta(seconds=LIMIT_SECONDS + 60)
    lost = ScheduleRun.objects.filter(finished_at=None, started_at__lt=began_before, deployment__host__name=host)
    lost = lost.filter(invocation=None)
    return lost.update(state=WorkState.FAILED, outcome="the worker ended while it ran", finished_at=now())
