"""Start, stop and restart what is live. The wish is kept at once; the worker has it done."""

from __future__ import annotations

from django.db import transaction

from apps.core import access, audit
from apps.core.access import Actor, Capability
from apps.core.errors import Conflict
from apps.deployments import errands
from apps.deployments.models import Deployment, Errand, ErrandKind, Wish, WorkState


class NothingLive(Conflict):
    code = "nothing_live"


POWER = (ErrandKind.START, ErrandKind.STOP, ErrandKind.RESTART)


def start(actor: Actor, deployment: Deployment) -> Errand:
    """Have the live release's processes running and its site served. Again: nothing."""
    return _ask(actor, deployment, ErrandKind.START, Wish.UP)


def stop(actor: Actor, deployment: Deployment) -> Errand:
    """Stop its processes and its site; nothing is removed. Again: nothing."""
    return _ask(actor, deployment, ErrandKind.STOP, Wish.STOPPED)


def restart(actor: Actor, deployment: Deployment) -> Errand:
    """Stop and start its processes; requests wait meanwhile."""
    access.require(actor, Capability.DEPLOY, deployment.team)
    if deployment.wish == Wish.STOPPED:
        raise Conflict(f"{deployment} is stopped.", hint="Start it instead.", code="stopped")
    return _ask(actor, deployment, ErrandKind.RESTART, None)


def _ask(actor: Actor, deployment: Deployment, kind: ErrandKind, wish: Wish | None) -> Errand:
    access.require(actor, Capability.DEPLOY, deployment.team)
    if deployment.live is None:
        raise NothingLive(f"{deployment} has no live release.", hint="Deploy it first.")
    if deployment.wish == Wish.DELETED:
        raise Conflict(f"{deployment} is being deleted.", hint="Wait until it is gone.")
    with transaction.atomic():
        if wish is not None:
            Deployment.objects.filter(pk=deployment.pk).update(wish=wish)
            deployment.wish = wish
        _withdraw_others(deployment, kind)
        audit.record(actor, f"deployment.{kind}", team=deployment.team, target=deployment.name)
        return errands.ask(actor, deployment, kind)


def _withdraw_others(deployment: Deployment, kind: ErrandKind) -> None:
    """Of switches that still wait the last one counts."""
    others = [other for other in POWER if other != kind]
    deployment.errands.filter(kind__in=others, state=WorkState.QUEUED).update(
        state=WorkState.CANCELLED, outcome="Another switch was pressed before this began."
    )
