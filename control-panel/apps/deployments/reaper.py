"""After a worker died: look at the machine, then finish or undo what it left.

If the switch was made, the release is live and only tidied up; otherwise the candidate is removed, the release fails
with the step it died in, and the one before still serves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import transaction
from django.db.models import Q

from apps.core import work
from apps.core.clock import now
from apps.core.models import Host as HostRow
from apps.deployments import keeping, running, steps, timers
from apps.deployments.models import Deployment, Release, ReleaseKind, State, StepState, Wish
from webops_host.errors import HostError, NotFound
from webops_host.ports import Host

log = logging.getLogger("webops.reaper")


def reap(connect: Callable[[HostRow], Host], host: str = "local") -> int:
    """Settle every release of a host that a dead worker left running, or live but not tidied up. Returns how many.
    Again: 0."""
    ours = Deployment.objects.filter(host__name=host)
    work.expire_dead(ours)
    free = ours.filter(work.free(now()))
    lost = Q(state=State.RUNNING) | Q(state=State.LIVE, finished_at=None)
    rows = Release.objects.filter(lost, deployment__in=free).select_related("deployment__host", "deployment__team")
    return sum(_claimed(release, connect) for release in rows)


def _claimed(release: Release, connect: Callable[[HostRow], Host]) -> bool:
    """Settle one release while holding its deployment's lease. False: somebody else holds it, or it must wait."""
    owner, lane = work.new_owner(), Deployment.objects.filter(pk=release.deployment_id)
    if not work.claim(lane, owner):
        return False
    release.deployment.refresh_from_db()
    fence = release.deployment.fence
    try:
        settle(release, connect(release.deployment.host).fenced(release.deployment.slug, fence))
    except HostError as error:
        log.warning("%s can not be settled now: %s", release, error.message)
        return False
    finally:
        work.release(lane, owner, fence)
    return True


def settle(release: Release, host: Host) -> None:
    """Bring one abandoned release to an end state, after looking at what serves."""
    if release.state == State.LIVE:
        _tidy(release, host)
        _note_steps(release, "finished later")
        return
    address = host.sites.address(release.deployment.slug)
    switched = (
        release.kind != ReleaseKind.INSPECT
        and address is not None
        and address.release == release.files
        and _reached_switch(release)
    )
    if switched and address is not None:
        steps.mark_live(release, address.url)
        _tidy(release, host)
        _note_steps(release, "finished later")
        return
    _undo(release, host)
    step = release.steps.exclude(state__in=(StepState.DONE, StepState.SKIPPED)).first()
    name = step.name if step else "start"
    _note_steps(release, "the worker died here")
    with transaction.atomic():
        release.state, release.finished_at, release.failure = State.FAILED, now(), "worker_died"
        release.cause = f"The worker died, or lost its database, during the step “{name}”."
        release.hint = "Nothing of it is live. Deploy again."
        release.save(update_fields=["state", "finished_at", "failure", "cause", "hint"])


def _reached_switch(release: Release) -> bool:
    return release.steps.filter(name="switch").exclude(state=StepState.WAITING).exists()


def _undo(release: Release, host: Host) -> None:
    """Remove the candidate's units and files, unless something else lives on them."""
    name = release.deployment.slug
    live = release.deployment.live
    if release.files is None or (live is not None and live.files == release.files):
        return
    for status in host.processes.status(name):
        if status.ref.release == release.files:
            host.processes.remove(status.ref)
    address = host.sites.address(name)
    if address is not None and address.release == release.files:
        _serve_before(live, host, release)
    if release.kind == ReleaseKind.DEPLOY:
        host.accounts.discard(name, release.files)


def _serve_before(live: Release | None, host: Host, release: Release) -> None:
    if live is None:
        host.sites.unpublish(release.deployment.slug)
    else:
        running.start(host, live)


def _tidy(release: Release, host: Host) -> None:
    """What `finish` does, of a deployment that a person may have stopped meanwhile."""
    try:
        if release.deployment.wish != Wish.STOPPED:
            running.start(host, release)
            timers.arrange(host, release)
        running.remove_other_units(host, release)
        keeping.prune(host, release.deployment)
    except NotFound as error:
        log.warning("%s: %s", release, error.message)
    Release.objects.filter(pk=release.pk).update(finished_at=now())


def _note_steps(release: Release, note: str) -> None:
    is_live = release.state == State.LIVE
    rows = release.steps.exclude(state__in=(StepState.DONE, StepState.SKIPPED))
    rows = rows if is_live else rows.filter(state=StepState.RUNNING)
    rows.update(state=StepState.DONE if is_live else StepState.FAILED, note=note, finished_at=now())
