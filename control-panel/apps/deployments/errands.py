"""Short work on the host that is no release: publish a site anew, start and stop, certificates.

The web process only adds a row and rings; the worker does it while it holds the deployment's lane, so that it never
meets a release half-way. Every errand asks before it acts, so doing it again after a crash is harmless.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F

from apps.core import queue, work
from apps.core.access import Actor, Capability
from apps.core.clock import now
from apps.core.errors import Refused
from apps.deployments.models import Deployment, Errand, ErrandKind, WorkState
from webops_host.errors import Cancelled, HostError, Stale
from webops_host.ports import Host
from webops_host.values import Console

log = logging.getLogger("webops.worker")
ATTEMPTS = 3
KEPT = 50
"""Errands that are over and stay to be read, for each deployment."""


@dataclass(frozen=True, slots=True)
class Going:
    """An errand on its way: the host under the lane's fence, and whether somebody wants it to end."""

    errand: Errand
    host: Host
    stop: Callable[[], bool]

    @property
    def deployment(self) -> Deployment:
        return self.errand.deployment

    def console(self) -> Console:
        return Console(self._noted, self.stop)

    def _noted(self, text: str) -> None:
        log.info("%s %s: %s", self.deployment, self.errand.kind, text)


Act = Callable[[Going], str]
"""Does it and says in one sentence what came of it."""


class _Known:
    """What each kind of errand does, and what whoever asked must still be allowed when it begins."""

    kinds: Mapping[str, tuple[Capability, Act]] = {}


def know(kinds: Mapping[ErrandKind, tuple[Capability, Act]]) -> None:
    """Say what kinds of errands do. Called once, when Django is set up."""
    _Known.kinds = {**_Known.kinds, **{str(kind): act for kind, act in kinds.items()}}


def ask(
    actor: Actor,
    deployment: Deployment,
    kind: ErrandKind,
    *,
    arguments: Mapping[str, Any] | None = None,
    secret: str = "",
    beside: bool = False,
) -> Errand:
    """Add an errand; who may has been decided by the caller. One of the kind that still waits is as good as a new one,
    unless something is handed over with it: then the new one takes its place, or with `beside` comes after it."""
    with transaction.atomic():
        waiting = deployment.errands.filter(kind=kind, state=WorkState.QUEUED)
        if not secret and not arguments and (same := waiting.first()) is not None:
            queue.ring(deployment.host.name, deployment.pk)
            return same
        replaced = waiting.none() if beside else waiting
        replaced.update(state=WorkState.CANCELLED, secret="", finished_at=now(), outcome="A newer one took its place.")
        made = Errand.objects.create(
            deployment=deployment, kind=kind, arguments=dict(arguments or {}), secret=secret, asked_by=actor.user
        )
        queue.ring(deployment.host.name, deployment.pk)
    return made


def ask_ourselves(deployment: Deployment, kind: ErrandKind) -> None:
    """Have the platform itself look after something. Nothing is added while one of the kind is open."""
    open_ones = deployment.errands.filter(kind=kind, state__in=(WorkState.QUEUED, WorkState.RUNNING))
    if open_ones.exists():
        return
    Errand.objects.create(deployment=deployment, kind=kind, by_platform=True)
    queue.ring(deployment.host.name, deployment.pk)


def newest(deployment: Deployment, *kinds: ErrandKind) -> Errand | None:
    """The errand of one of these kinds that says how things stand: an open one first, else the last that ended."""
    rows = deployment.errands.filter(kind__in=kinds).defer("secret").exclude(state=WorkState.CANCELLED)
    return rows.first()


def standing(deployment: Deployment) -> Errand | None:
    """What a person should know of: an errand that is under way, or the last one if it failed."""
    last = newest(deployment, *ErrandKind)
    return last if last is not None and (last.is_open or last.state == WorkState.FAILED) else None


def tell_removal(deployment_id: int, cause: str, hint: str) -> None:
    """Keep why the deployment could not be removed, for whoever looks at it; the last time counts."""
    said = {"state": WorkState.FAILED, "outcome": cause[:2000], "hint": hint[:2000], "finished_at": now()}
    rows = Errand.objects.filter(deployment_id=deployment_id, kind=ErrandKind.REMOVE)
    if not rows.update(**said) and Deployment.objects.filter(pk=deployment_id).exists():
        Errand.objects.create(deployment_id=deployment_id, kind=ErrandKind.REMOVE, by_platform=True, **said)


def claim(deployment: Deployment) -> Errand | None:
    """Take the oldest waiting errand of a deployment whose lane the caller holds."""
    waiting = deployment.errands.filter(state=WorkState.QUEUED).order_by("pk").values_list("pk", flat=True)
    for key in waiting:
        mine = Errand.objects.filter(pk=key, state=WorkState.QUEUED)
        if mine.update(state=WorkState.RUNNING, started_at=now(), attempts=F("attempts") + 1):
            errand = Errand.objects.select_related("asked_by").get(pk=key)
            errand.deployment = deployment
            return errand
    return None


def perform(errand: Errand, host: Host, stop: Callable[[], bool]) -> None:
    """Do it and leave it in an end state. Raises Stale when the lane was taken over."""
    capability, act = _Known.kinds[errand.kind]
    user = errand.asked_by
    may = user is not None and Actor(user).may(capability, errand.deployment.team)
    if not errand.by_platform and not may:
        _end(errand, WorkState.CANCELLED, "Held back: whoever asked for it may no longer do this.")
        return
    try:
        outcome = act(Going(errand, host, stop))
    except Stale:
        raise
    except Cancelled:
        _back(errand)
    except (HostError, Refused) as error:
        _end(errand, WorkState.FAILED, error.message, error.hint)
    except Exception:  # the outer edge of background work
        log.exception("errand %s of %s failed", errand.kind, errand.deployment)
        _end(errand, WorkState.FAILED, "It failed inside WebOps.", "The worker's log says more.")
    else:
        _end(errand, WorkState.DONE, outcome)


def _end(errand: Errand, state: WorkState, outcome: str, hint: str = "") -> None:
    """An end state, unless it has one. What was handed over goes, and with it the oldest that are over."""
    ours = Errand.objects.filter(pk=errand.pk, state=WorkState.RUNNING)
    ours.update(state=state, outcome=outcome[:2000], hint=hint[:2000], finished_at=now(), secret="")
    over = errand.deployment.errands.exclude(state__in=(WorkState.QUEUED, WorkState.RUNNING))
    Errand.objects.filter(pk__in=list(over.values_list("pk", flat=True)[KEPT:])).delete()


def _back(errand: Errand) -> None:
    """To the ones that wait, for the next worker; not for ever."""
    again = Errand.objects.filter(pk=errand.pk, state=WorkState.RUNNING)
    if not again.filter(attempts__lt=ATTEMPTS).update(state=WorkState.QUEUED):
        _end(errand, WorkState.FAILED, "It was begun several times and never came to an end.", "Ask for it again.")


def reap(host: str) -> int:
    """Give back what dead workers left half done. Returns how many. Again: 0."""
    free = Deployment.objects.filter(work.free(now()), host__name=host)
    lost = Errand.objects.filter(state=WorkState.RUNNING, deployment__in=free).select_related("deployment")
    found = 0
    for errand in lost:
        lane, owner = Deployment.objects.filter(pk=errand.deployment_id), work.new_owner()
        if not work.claim(lane, owner):
            continue
        fence = lane.values_list("fence", flat=True).get()
        _back(errand)
        work.release(lane, owner, fence)
        found += 1
    return found
