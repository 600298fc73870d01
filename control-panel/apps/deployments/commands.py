"""One-off commands: a line that a person runs in the sandbox of what is live, streamed to a file as it prints.

They need no lane: like a schedule they run beside what serves. A worker claims the row, renews its lease while the
command runs, and kills it when somebody asks for that or its time is over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from django.db import connections

from apps.core import work
from apps.core.access import Actor, Capability
from apps.core.clock import now
from apps.core.models import Host as HostRow
from apps.deployments import hiding, logs, running
from apps.deployments.models import CommandRun, WorkState
from webops_host.errors import Cancelled, CommandFailed, CommandTimedOut, HostError
from webops_host.ports import Host
from webops_host.values import Console, ProjectLine

log = logging.getLogger("webops.worker")
AT_ONCE = 4
LOOK_SECONDS = 0.5
RENEW_SECONDS = 5.0
KEPT = 50
OPEN = (WorkState.QUEUED, WorkState.RUNNING)


@dataclass
class Watch:
    """Whether a running command is to end, asked several times a second; the row is looked at less often."""

    run: CommandRun
    stop: Callable[[], bool]
    reason: str = ""
    _looked_at: float = field(default_factory=time.monotonic)
    _renewed_at: float = field(default_factory=time.monotonic)

    def __call__(self) -> bool:
        if self.stop():
            self.reason = self.reason or "The worker was stopped."
        at = time.monotonic()
        if not self.reason and at - self._looked_at >= LOOK_SECONDS:
            self._looked_at = at
            self._look(at)
        return bool(self.reason)

    def _look(self, at: float) -> None:
        rows = CommandRun.objects.filter(pk=self.run.pk)
        if at - self._renewed_at >= RENEW_SECONDS:
            self._renewed_at = at
            if not work.renew(rows, self.run.lease_owner, self.run.fence):
                self.reason = "Another worker took it over."
        if rows.filter(cancel_requested=True).exists() or not rows.exists():
            self.reason = self.reason or "Cancelled by a person."


Begin = Callable[[str, Callable[[], None]], None]
"""Starts something beside the worker's own work, under a name."""


def run_waiting(
    connect: Callable[[HostRow], Host], stop: Callable[[], bool], owner: str, host: str, begin: Begin
) -> int:
    """Begin the commands that wait on a host. Returns how many."""
    ours = CommandRun.objects.filter(deployment__host__name=host)
    waiting = list(ours.filter(state=WorkState.QUEUED).order_by("pk").values_list("pk", flat=True))
    room = AT_ONCE - ours.filter(state=WorkState.RUNNING).count() if waiting else 0
    begun = 0
    for key in waiting:
        if begun >= room or stop():
            break
        run = claim(key, owner)
        if run is not None:
            begin(f"command-{key}", partial(_whole, run, connect, stop))
            begun += 1
    return begun


def claim(key: int, owner: str) -> CommandRun | None:
    """Take one that waits. None: somebody else did, or it is over."""
    waiting = CommandRun.objects.filter(pk=key, state=WorkState.QUEUED)
    if not work.claim(waiting, owner):
        return None
    waiting.filter(lease_owner=owner).update(state=WorkState.RUNNING, started_at=now())
    return CommandRun.objects.select_related("deployment__host", "deployment__team", "asked_by").get(pk=key)


def _whole(run: CommandRun, connect: Callable[[HostRow], Host], stop: Callable[[], bool]) -> None:
    try:
        perform(run, connect(run.deployment.host), stop)
    except Exception:  # the outer edge of a thread
        log.exception("the command %s of %s failed", run.number, run.deployment)
        end(run, WorkState.FAILED, "It failed inside WebOps.", "The worker's log says more.")
    finally:
        connections.close_all()


def perform(run: CommandRun, host: Host, stop: Callable[[], bool]) -> None:
    """Run it to its end and leave the row in an end state."""
    user, team = run.asked_by, run.deployment.team
    if user is None or not Actor(user).may(Capability.READ_SECRETS, team):
        return end(run, WorkState.CANCELLED, "Held back: whoever asked for it may no longer do this.")
    release = run.deployment.live
    if release is None:
        return end(run, WorkState.FAILED, "Nothing is live that it could run in.", "Deploy first.")
    CommandRun.objects.filter(pk=run.pk).update(release=release.number)
    watch = Watch(run, stop)
    paper = logs.Writer(None, hiding.secrets_of(run.deployment), place=logs.command_path(run.pk))
    try:
        around = running.runtime(release)
        host.builds.run(around, ProjectLine(run.line), float(run.limit_seconds), Console(paper.for_step(""), watch))
        end(run, WorkState.DONE, status=0)
    except Cancelled:
        end(run, WorkState.CANCELLED, watch.reason or "Cancelled.")
    except CommandTimedOut:
        end(
            run,
            WorkState.FAILED,
            f"It took longer than {run.limit_seconds} s and was ended.",
            "Give it a longer limit.",
        )
    except CommandFailed as error:
        _failed(run, error)
    except HostError as error:
        end(run, WorkState.FAILED, paper.masked(error.message), paper.masked(error.hint))
    finally:
        paper.close()
    return None


def _failed(run: CommandRun, error: CommandFailed) -> None:
    status = error.facts.get("status")
    status = status if isinstance(status, int) else None
    if error.facts.get("oom"):
        return end(
            run, WorkState.FAILED, "It needed more memory than it may have.", "Allow more memory.", status=status
        )
    word = f"It was ended by signal {-status}." if status is not None and status < 0 else f"It ended with {status}."
    return end(run, WorkState.FAILED, word, status=status)


def end(run: CommandRun, state: WorkState, cause: str = "", hint: str = "", *, status: int | None = None) -> None:
    """An end state, unless it has one; the oldest that are over go, with what they printed."""
    ours = CommandRun.objects.filter(pk=run.pk, state__in=OPEN)
    ours.update(
        state=state, cause=cause[:2000], hint=hint[:2000], exit_status=status, finished_at=now(), lease_owner=""
    )
    over = run.deployment.commands.exclude(state__in=OPEN).order_by("-number").values_list("pk", flat=True)
    for key in list(over[KEPT:]):
        logs.command_path(key).unlink(missing_ok=True)
        CommandRun.objects.filter(pk=key).delete()


def reap(host: str) -> int:
    """End the rows of commands whose worker is gone; the host ended the commands with it. Again: 0."""
    ours = CommandRun.objects.filter(state=WorkState.RUNNING, deployment__host__name=host)
    work.expire_dead(ours)
    lost = list(ours.filter(work.free(now())).select_related("deployment"))
    for run in lost:
        end(run, WorkState.FAILED, "The worker ended while it ran, and it with it.", "Run it again.")
    return len(lost)
