"""Start, stop and restart what is live."""

from __future__ import annotations

from django.db import transaction

from apps.core import access, audit, hosts
from apps.core.access import Actor, Capability
from apps.core.errors import Conflict
from apps.deployments import running
from apps.deployments.models import Deployment, Release, Wish


class NothingLive(Conflict):
    code = "nothing_live"


def start(actor: Actor, deployment: Deployment) -> None:
    """Have the live release's processes running and its site served. Again: nothing."""
    release = _live(actor, deployment, "deployment.start")
    Deployment.objects.filter(pk=deployment.pk).update(wish=Wish.UP)
    running.start(hosts.of(deployment.host), release)


def stop(actor: Actor, deployment: Deployment) -> None:
    """Stop its processes and its site; nothing is removed. Again: nothing."""
    release = _live(actor, deployment, "deployment.stop")
    Deployment.objects.filter(pk=deployment.pk).update(wish=Wish.STOPPED)
    running.stop(hosts.of(deployment.host), release)


def restart(actor: Actor, deployment: Deployment) -> None:
    """Stop and start its processes; requests wait meanwhile."""
    release = _live(actor, deployment, "deployment.restart")
    if deployment.wish == Wish.STOPPED:
        raise Conflict(f"{deployment} is stopped.", hint="Start it instead.", code="stopped")
    running.restart(hosts.of(deployment.host), release)


def _live(actor: Actor, deployment: Deployment, action: str) -> Release:
    access.require(actor, Capability.DEPLOY, deployment.team)
    release = deployment.live
    if release is None:
        raise NothingLive(f"{deployment} has no live release.", hint="Deploy it first.")
    with transaction.atomic():
        audit.record(actor, action, team=deployment.team, target=deployment.name)
    return release
