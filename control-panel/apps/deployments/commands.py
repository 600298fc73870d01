"""One-off commands: a line that a person runs in the sandbox of what is live, streamed to a file as it prints.

They need no lane: like a schedule they run beside what serves. A worker claims the row, has the host begin the
command, follows it while it renews its lease, and ends it when somebody asks for that. The host goes on when the worker
is stopped or dies: the next one follows from the line that the last one wrote.
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
from webops_host.errors import Cancelled, CommandFailed, CommandTimedOut, HostError, HostUnreachable, NotFound
from webops_host.names import RunId
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
    """Whether to follow a running command no longer, asked several times a second; the row is looked at less often.
    `reason` says why it is to end; with `leaves` it goes on for somebody else."""

    run: CommandRun
    stop: Callable[[], bool]
    reason: str = ""
    leaves: bool = False
    _looked_at: float = field(default_factory=time.monotonic)
    _renewed_at: float = field(default_factory=time.monotonic)

    def __call__(self) -> bool:
        self.leaves = self.leaves or self.stop()
        at = time.monotonic()
        if not self.leaves and not self.reason and at - self._looked_at >= LOOK_SECONDS:
            self._looked_at = at
            self._look(at)
        return self.leaves or bool(self.reason)

    def _look(self, at: float) -> None:
        rows = CommandRun.objects.filter(pk=self.run.pk)
        if at - self._renewed_at >= RENEW_SECONDS:
            self._renewed_at = at
            self.leaves = rows.exists() and not work.renew(rows, self.run.lease_owner, self.run.fence)
        if rows.filter(cancel_requested=True).exists() or not rows.exists():
            self.reason = "Cancelled by a person."


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


def go_on(connect: Callable[[HostRow], Host], stop: Callable[[], bool], owner: str, host: str, begin: Begin) -> int:
    """Follow the commands of a host whose worker was stopped or died. Returns how many. Again: 0."""
    ours = CommandRun.objects.filter(state=WorkState.RUNNING, deployment__host__name=host)
    work.expire_dead(ours)
    begun = 0
    for key in list(ours.filter(work.free(now())).order_by("pk").values_list("pk", flat=True)):
        run = None if stop() else claim(key, owner, WorkState.RUNNING)
        if run is not None:
            begin(f"command-{key}", partial(_whole, run, connect, stop, is_new=False))
            begun += 1
    return begun


def claim(key: int, owner: str, state: WorkState = WorkState.QUEUED) -> CommandRun | None:
    """Take one that waits, or one that runs and nobody follows. None: somebody else did, or it is over."""
    rows = CommandRun.objects.filter(pk=key, state=state)
    if not work.claim(rows, owner):
        return None
    if state == WorkState.QUEUED:
        rows.filter(lease_owner=owner).update(state=WorkState.RUNNING, started_at=now())
    return CommandRun.objects.select_related("deployment__host", "deployment__team", "asked_by").get(pk=key)


def _whole(
    run: CommandRun, connect: Callable[[HostRow], Host], stop: Callable[[], bool], *, is_new: bool = True
) -> None:
    try:
        host = connect(run.deployment.host)
        if not is_new or _begun(run, host):
            follow(run, host, stop)
    except Exception:  # the outer edge of a thread
        log.exception("the command %s of %s failed", run.number, run.deployment)
        end(run, WorkState.FAILED, "It failed inside WebOps.", "The worker's log says more.")
    finally:
        connections.close_all()


def _begun(run: CommandRun, host: Host) -> bool:
    """Have the host begin it. False: the row is in an end state, and says why."""
    user, team = run.asked_by, run.deployment.team
    release = run.deployment.live
    if user is None or not Actor(user).may(Capability.READ_SECRETS, team):
        end(run, WorkState.CANCELLED, "Held back: whoever asked for it may no longer do this.")
    elif release is None:
        end(run, WorkState.FAILED, "Nothing is live that it could run in.", "Deploy first.")
    else:
        CommandRun.objects.filter(pk=run.pk).update(release=release.number)
        try:
            host.commands.begin(running.runtime(release), ProjectLine(run.line), float(run.limit_seconds), _id(run))
            return True
        except HostError as error:
            end(run, WorkState.FAILED, *map(hiding.of(run.deployment), (error.message, error.hint)))
    return False


def _id(run: CommandRun) -> RunId:
    """Its own for ever: a panel that was restored from a backup counts from an earlier number again."""
    return RunId(f"{run.pk}-{run.created_at.timestamp():.0f}")


def follow(run: CommandRun, host: Host, stop: Callable[[], bool]) -> None:
    """Write what it prints, from where the file ends, until it is over, and leave the row in an end state; or let go of
    it for the next worker."""
    watch, name, place = Watch(run, stop), run.deployment.slug, logs.command_path(run.pk)
    paper = logs.Writer(None, hiding.secrets_of(run.deployment), place=place)
    try:
        host.commands.follow(name, _id(run), logs.count(place), Console(paper.for_step(""), watch))
        end(run, WorkState.DONE, status=0)
    except Cancelled:
        _left(run, host, watch)
    except CommandTimedOut:
        cause = f"It took longer than {run.limit_seconds} s and was ended."
        end(run, WorkState.FAILED, cause, "Give it a longer limit.")
    except CommandFailed as error:
        _failed(run, error)
    except (NotFound, HostUnreachable):
        _gone(run)
    except HostError as error:
        end(run, WorkState.FAILED, paper.masked(error.message), paper.masked(error.hint))
    finally:
        paper.close()


def _left(run: CommandRun, host: Host, watch: Watch) -> None:
    """It is not followed any more: let somebody else do it, or end it with all that it started."""
    if watch.leaves:
        return work.release(CommandRun.objects.filter(pk=run.pk), run.lease_owner, run.fence)
    if not watch.reason:
        return _gone(run)
    try:
        host.commands.end(run.deployment.slug, _id(run))
    except HostError as error:
        return end(run, WorkState.FAILED, f"It could not be ended: {error.message}", error.hint)
    return end(run, WorkState.CANCELLED, watch.reason)


def _gone(run: CommandRun) -> None:
    end(run, WorkState.FAILED, "The host ended while it ran, and it with it.", "Run it again.")


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
    """An end state, unless it has one or another worker follows it; the oldest that are over go, with what they
    printed."""
    ours = CommandRun.objects.filter(pk=run.pk, state__in=OPEN, fence=run.fence)
    ours.update(
        state=state, cause=cause[:2000], hint=hint[:2000], exit_status=status, finished_at=now(), lease_owner=""
    )
    over = run.deployment.commands.exclude(state__in=OPEN).order_by("-number").values_list("pk", flat=True)
    for key in list(over[KEPT:]):
        logs.command_path(key).unlink(missing_ok=True)
        CommandRun.objects.filter(pk=key).delete()
