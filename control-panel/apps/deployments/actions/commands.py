"""Running one command line in a deployment's sandbox, and ending one that runs."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Max

from apps.core import access, audit, queue
from apps.core.access import Actor, Capability
from apps.core.clock import now
from apps.core.errors import Conflict, Invalid
from apps.deployments import hiding
from apps.deployments.models import CommandRun, Deployment, Wish, WorkState
from webops_host.errors import BadValue
from webops_host.values import ProjectLine

SHORTEST_LIMIT, USUAL_LIMIT, LONGEST_LIMIT = 1, 900, 6 * 3600
MOST_WAITING = 10


class NothingLive(Conflict):
    code = "nothing_live"


class NotOpen(Conflict):
    code = "command_not_open"


def run(actor: Actor, deployment: Deployment, line: str, *, limit_seconds: int = USUAL_LIMIT) -> CommandRun:
    """Queue a command. It can print whatever the deployment knows, so it needs the right to read its secrets. Raises
    Invalid with the field, NothingLive, Conflict."""
    access.require(actor, Capability.READ_SECRETS, deployment.team)
    access.require(actor, Capability.DEPLOY, deployment.team)
    try:
        ProjectLine(line.strip())
    except BadValue as error:
        raise Invalid.of("command", error) from None
    if not SHORTEST_LIMIT <= limit_seconds <= LONGEST_LIMIT:
        raise Invalid(
            "That is no time limit.", fields={"limit_seconds": [f"Use {SHORTEST_LIMIT} to {LONGEST_LIMIT} seconds."]}
        )
    if deployment.live is None or deployment.wish == Wish.DELETED:
        raise NothingLive(f"{deployment} has no live release to run it in.", hint="Deploy it first.")
    if deployment.commands.filter(state=WorkState.QUEUED).count() >= MOST_WAITING:
        raise Conflict(f"{MOST_WAITING} commands wait already.", hint="Wait for them, or cancel some.")
    return _queue(actor, deployment, line.strip(), limit_seconds)


def _queue(actor: Actor, deployment: Deployment, line: str, limit_seconds: int) -> CommandRun:
    shown = hiding.of(deployment)(line)
    try:
        with transaction.atomic():
            last = deployment.commands.aggregate(last=Max("number"))["last"] or 0
            made = CommandRun.objects.create(
                deployment=deployment,
                number=last + 1,
                line=line,
                limit_seconds=limit_seconds,
                asked_by=actor.user,
            )
            audit.record(
                actor, "command.run", team=deployment.team, target=deployment.name, number=made.number, line=shown[:500]
            )
            queue.ring(deployment.host.name, deployment.pk)
    except IntegrityError:
        raise Conflict("Somebody else asked at the same moment.", hint="Ask again.") from None
    return made


def cancel(actor: Actor, run_: CommandRun) -> CommandRun:
    """End it with everything it started. Raises NotOpen when it is over."""
    deployment = run_.deployment
    access.require(actor, Capability.READ_SECRETS, deployment.team)
    access.require(actor, Capability.DEPLOY, deployment.team)
    if not run_.is_open:
        raise NotOpen(f"Command {run_.number} is over.", hint="There is nothing to cancel.")
    with transaction.atomic():
        waiting = CommandRun.objects.filter(pk=run_.pk, state=WorkState.QUEUED)
        if not waiting.update(state=WorkState.CANCELLED, finished_at=now(), cause="Cancelled before it began."):
            CommandRun.objects.filter(pk=run_.pk, state=WorkState.RUNNING).update(cancel_requested=True)
        audit.record(actor, "command.cancel", team=deployment.team, target=deployment.name, number=run_.number)
    run_.refresh_from_db()
    return run_
