"""Commands on a schedule where they meet the host: rows for what is live, timers of a host that keeps the time itself,
and what such a host ran while nobody asked it to."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from django.db import connections

from apps.core.clock import now
from apps.core.models import Host as HostRow
from apps.core.models import HostKind
from apps.deployments import hiding, running, schedules
from apps.deployments.models import Deployment, Release, Schedule, ScheduleRun, Wish, WorkState
from webops_host import cron
from webops_host.errors import HostError
from webops_host.ports import Host
from webops_host.timed_values import TimedCommand, TimedRun
from webops_host.values import ProjectLine

log = logging.getLogger("webops.schedules")
LOST_SECONDS = schedules.LIMIT_SECONDS + 60
SETTLES = timedelta(seconds=3)
"""After its time, until a command that the host starts is surely under way."""

Begin = Callable[[str, Callable[[], None]], None]
"""Starts something beside the worker's own work, under a name."""


def arrange(host: Host, release: Release) -> None:
    """The contract's commands as rows and as timers of the host: those of this release, no others. What the others
    ran is brought in before they go. Again: nothing changes."""
    deployment = release.deployment
    wanted = _wanted(release)
    gone = [row.pk for row in deployment.schedules.all() if (row.expression, row.command) not in wanted]
    if not wanted and not gone:
        return
    likely = deployment.host.kind == HostKind.LINUX
    rows = [_row(deployment, *words, likely) for words in sorted(wanted)]
    deployment.schedules.update(by_host=likely)  # before it is so: the worker and the host must not both begin one
    kept = host.timers.arrange(running.runtime(release), tuple(_timed(row) for row in rows if row.enabled))
    if kept != likely:
        deployment.schedules.update(by_host=kept)
    _bring_in_quietly(deployment, host)
    deployment.schedules.filter(pk__in=gone).delete()  # last: until here a repetition sees that there is work


def hold(host: Host, deployment: Deployment) -> None:
    """Have the host begin none of its commands until they are arranged again. Again: nothing."""
    if deployment.schedules.exists():
        host.timers.stop(deployment.slug)


def _wanted(release: Release) -> set[tuple[str, str]]:
    plan = release.plan
    return {(entry.schedule, entry.command.line) for entry in plan.cron} if plan else set()


def _row(deployment: Deployment, expression: str, command: str, by_host: bool) -> Schedule:
    following = cron.parse(expression).next_after(now())
    made = {"next_at": following, "by_host": by_host}
    return deployment.schedules.get_or_create(expression=expression, command=command, defaults=made)[0]


def _timed(row: Schedule) -> TimedCommand:
    return TimedCommand(row.expression, ProjectLine(row.command), schedules.LIMIT_SECONDS)


class Collector:
    """Brings in what hosts ran by themselves, once at a time."""

    def __init__(self) -> None:
        self._going = threading.Lock()

    def look(
        self, connect: Callable[[HostRow], Host], host: str, begin: Begin, *, open_too: bool, every: bool = False
    ) -> None:
        """Begin bringing in what has come since: of each deployment with a command whose time was, with `open_too`
        those of which a run goes on, with `every` all that may have any."""
        found = _due(host, open_too=open_too, every=every)
        if found and self._going.acquire(blocking=False):
            begin("timers", partial(self._bring_in, found, connect))

    def _bring_in(self, found: list[Deployment], connect: Callable[[HostRow], Host]) -> None:
        try:
            for deployment in found:
                _bring_in_quietly(deployment, connect(deployment.host))
        except Exception:  # the outer edge of a thread
            log.exception("what ran on a schedule could not be brought in")
        finally:
            self._going.release()
            connections.close_all()


def _due(host: str, *, open_too: bool, every: bool) -> list[Deployment]:
    ours = Schedule.objects.filter(by_host=True, deployment__host__name=host)
    due = ours if every else ours.filter(next_at__lte=now() - SETTLES, deployment__wish=Wish.UP)
    found = set(due.values_list("deployment", flat=True))
    if open_too:
        going = ScheduleRun.objects.filter(finished_at=None, deployment__host__name=host).exclude(invocation=None)
        found.update(going.values_list("deployment", flat=True))
    rows = Deployment.objects.filter(pk__in=found).exclude(wish=Wish.DELETED) if found else Deployment.objects.none()
    return list(rows.select_related("host", "database"))


def _bring_in_quietly(deployment: Deployment, host: Host) -> None:
    try:
        bring_in(deployment, host)
    except HostError as error:
        log.warning("%s: what ran on a schedule is not known yet: %s", deployment, error.message)


def bring_in(deployment: Deployment, host: Host) -> int:
    """Runs that the host tells of as rows; how many were not there or had not ended. Again: 0."""
    rows = {_timed(row).label: row for row in deployment.schedules.filter(by_host=True)}
    going = deployment.schedule_runs.filter(finished_at=None).exclude(invocation=None)
    if not rows and not going.exists():
        return 0
    looked_at = now()
    found = host.timers.runs(deployment.slug, _since(deployment))
    masked = hiding.of(deployment)
    changed = sum(_keep(deployment, rows.get(run.label), run, masked) for run in found)
    for row in rows.values():
        if row.next_at is None or row.next_at <= looked_at - SETTLES:
            Schedule.objects.filter(pk=row.pk).update(next_at=cron.parse(row.expression).next_after(looked_at))
    lost = going.filter(started_at__lt=looked_at - timedelta(seconds=LOST_SECONDS))  # as when the power went
    lost.update(state=WorkState.FAILED, outcome="its end is not known", finished_at=looked_at)
    if changed:
        schedules.forget_old(deployment)
    return changed


def _since(deployment: Deployment) -> int:
    """The Unix time from which runs may be news: the oldest that has not ended, else the last that is known."""
    told = deployment.schedule_runs.exclude(invocation=None).order_by("started_at")
    first = told.filter(finished_at=None).first() or told.last()
    return max(0, int(first.started_at.timestamp()) - 1) if first is not None else 0


def _keep(deployment: Deployment, row: Schedule | None, run: TimedRun, masked: hiding.Mask) -> bool:
    known = ScheduleRun.objects.filter(invocation=run.id).first()
    if known is not None and (known.finished_at is not None or run.ended_at is None):
        return False
    if known is None and row is None:
        return False  # of a command that went before anybody asked
    tail = [masked(line) for line in run.tail]
    values = {"tail": tail, "exit_status": run.exit_status, **_outcome(run, tail)}
    if known is not None:
        ScheduleRun.objects.filter(pk=known.pk, finished_at=None).update(**values)
    elif row is not None:
        started = {"expression": row.expression, "command": row.command, "started_at": _at(run.began_at)}
        whole = {**values, **started, "deployment": deployment, "schedule": row}
        ScheduleRun.objects.get_or_create(invocation=run.id, defaults=whole)
    if row is not None:
        Schedule.objects.filter(pk=row.pk).update(last_at=_at(run.began_at), last_outcome=values.get("outcome", ""))
    return True


def _outcome(run: TimedRun, tail: list[str]) -> dict[str, object]:
    if run.ended_at is None:
        return {}
    over: dict[str, object] = {"finished_at": _at(run.ended_at)}
    if not run.reason:
        return {**over, "state": WorkState.DONE, "outcome": "done"}
    words = f"failed: {run.reason}. {tail[-1] if tail else ''}".strip()
    return {**over, "state": WorkState.FAILED, "outcome": words[:300]}


def _at(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
