"""Asking for releases: look, deploy, roll back, cancel."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, Q

from apps.core import access, audit, queue
from apps.core.access import Actor, Capability
from apps.core.clock import now
from apps.core.errors import Conflict, Invalid
from apps.deployments.models import OPEN, Deployment, Release, ReleaseKind, State, Wish
from webops_host.errors import BadValue
from webops_host.names import GitRef

FOLLOWING = ("scale", "domains", "rotation")
"""Triggers of releases that bring a change of the settings to what is live, whatever commit that is by then."""


class AlreadyLive(Conflict):
    code = "already_live"


class NotKept(Conflict):
    code = "release_not_kept"


class NotOpen(Conflict):
    code = "release_not_open"


def inspect(actor: Actor, deployment: Deployment, *, trigger: str = "page") -> Release:
    """Look at the repository and decide how it would be built and run; nothing of it runs.
    A look that is still open is returned again, and so is a release that waits: it looks, too."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    return _queue(actor, deployment, kind=ReleaseKind.INSPECT, ref=deployment.ref, trigger=trigger)


def deploy(actor: Actor, deployment: Deployment, *, ref: str = "", trigger: str = "page") -> Release:
    """Queue a release of the newest commit (or of `ref`). A release that still waits is superseded by this one."""
    access.require(actor, Capability.DEPLOY, deployment.team)
    _refuse_deleted(deployment)
    try:
        wanted = GitRef(ref) if ref else deployment.ref
    except BadValue as error:
        raise Invalid.of("ref", error) from None
    return _queue(actor, deployment, kind=ReleaseKind.DEPLOY, ref=wanted, trigger=trigger)


def follow(actor: Actor, deployment: Deployment, *, trigger: str) -> Release:
    """Have what is live follow a change of the settings, by a release of its commit; one that waits already will do.
    Raises Conflict when nothing is live."""
    access.require(actor, Capability.DEPLOY, deployment.team)
    _refuse_deleted(deployment)
    live = deployment.live
    if live is None:
        raise Conflict("Nothing is live.", hint="It applies with the first release.")
    waiting = deployment.releases.filter(state=State.QUEUED).exclude(kind=ReleaseKind.INSPECT).first()
    return waiting or _queue(actor, deployment, kind=ReleaseKind.DEPLOY, ref=live.commit, trigger=trigger)


def refuse_before_rollback(deployment: Deployment) -> None:
    """Raises Conflict when going back waits: it would come with the settings of the release gone back to."""
    if deployment.releases.filter(state=State.QUEUED, kind=ReleaseKind.ROLLBACK).exists():
        raise Conflict("A rollback waits, which would undo this.", hint="Wait until it is over, or cancel it.")


def ref_now(release: Release) -> str:
    """What a waiting release is a release of, now that it begins: one that follows a change is of what is live, not of
    what was live when it was asked for."""
    live = release.deployment.live
    return live.commit if release.trigger in FOLLOWING and live is not None else release.ref


def rollback(actor: Actor, deployment: Deployment, *, number: int | None = None, trigger: str = "page") -> Release:
    """Queue going back to a kept release (the one live before, when no number is given), with its variables and
    without a rebuild. Raises NotKept, AlreadyLive."""
    access.require(actor, Capability.DEPLOY, deployment.team)
    _refuse_deleted(deployment)
    target = _rollback_target(deployment, number)
    live = deployment.live
    if live is not None and live.files == target.files:
        raise AlreadyLive(f"Release {target.number} is what is live now.", hint="Choose an earlier release.")
    return _queue(actor, deployment, kind=ReleaseKind.ROLLBACK, ref=target.ref, trigger=trigger, back_to=target)


def _rollback_target(deployment: Deployment, number: int | None) -> Release:
    was_live = deployment.releases.filter(state__in=(State.RETIRED, State.LIVE))
    live = deployment.live
    others = was_live.filter(files_kept=True).exclude(pk=live.pk if live is not None else 0)
    kept = ", ".join(f"#{n}" for n in others.values_list("number", flat=True)) or "none"
    if number is None:
        found = was_live.filter(state=State.RETIRED, files_kept=True)
        if live is not None:
            found = found.exclude(files=live.files)
        target = found.order_by("-live_at").first()
    else:
        target = was_live.filter(number=number, files_kept=True).first()
    if target is None:
        what = f"Release {number} is not kept on disk" if number is not None else "There is no earlier release to go to"
        raise NotKept(f"{what}.", hint=f"Releases that can be gone back to: {kept}.")
    return target


def cancel(actor: Actor, deployment: Deployment, *, release: Release | None = None) -> Release:
    """Stop a waiting or running release; what runs is killed. Raises NotOpen when there is none, or it is over."""
    access.require(actor, Capability.DEPLOY, deployment.team)
    target = release or deployment.open_release
    if target is None or not target.is_open:
        raise NotOpen("No release is under way.", hint="There is nothing to cancel; to go back, roll back.")
    with transaction.atomic():
        waiting = Release.objects.filter(pk=target.pk, state=State.QUEUED)
        if not waiting.update(state=State.CANCELLED, finished_at=now(), cause="Cancelled before it began."):
            Release.objects.filter(pk=target.pk, state=State.RUNNING).update(cancel_requested=True)
        audit.record(actor, "release.cancel", team=deployment.team, target=deployment.name, number=target.number or 0)
        queue.ring(deployment.host.name, deployment.pk)
    target.refresh_from_db()
    return target


def hold_back(release: Release) -> bool:
    """Cancel a waiting release if whoever asked for it may not ask any more. False: it may begin. Again: nothing."""
    team, user = release.deployment.team, release.triggered_by
    needed = Capability.CONFIGURE if release.kind == ReleaseKind.INSPECT else Capability.DEPLOY
    if user is not None and Actor(user).may(needed, team):
        return False
    who = user.get_username() if user is not None else "Whoever asked for it"
    with transaction.atomic():
        held = Release.objects.filter(pk=release.pk, state=State.QUEUED).update(
            state=State.CANCELLED,
            finished_at=now(),
            cause=f"Held back: {who} may no longer do this in the team {team}.",
            hint="Somebody who still may can ask for it again.",
        )
        if held:
            audit.record(
                None, "release.held", team=team, target=release.deployment.name, number=release.number or 0, by=who
            )
    return True


def _queue(
    actor: Actor, deployment: Deployment, *, kind: ReleaseKind, ref: str, trigger: str, back_to: Release | None = None
) -> Release:
    """Add the row. The database guarantees that one waits at most: the newest supersedes it."""
    try:
        with transaction.atomic():
            waiting = deployment.releases.filter(state=State.QUEUED)
            if kind == ReleaseKind.INSPECT and (same := _that_looks(deployment)) is not None:
                return same
            waiting.update(
                state=State.SUPERSEDED, finished_at=now(), cause="A newer release was asked for before this began."
            )
            last = deployment.releases.aggregate(last=Max("number"))["last"] or 0
            number = None if kind == ReleaseKind.INSPECT else last + 1
            release = Release.objects.create(
                deployment=deployment,
                number=number,
                kind=kind,
                ref=ref,
                **(_carried(back_to) if back_to else {"files": number}),
                triggered_by=actor.user,
                trigger=trigger,
            )
            if kind != ReleaseKind.INSPECT:
                audit.record(
                    actor, f"release.{kind}", team=deployment.team, target=deployment.name, number=number, ref=ref
                )
            queue.ring(deployment.host.name, deployment.pk)
    except IntegrityError:
        raise Conflict("Somebody else asked at the same moment.", hint="Look at the newest release.") from None
    return release


def _that_looks(deployment: Deployment) -> Release | None:
    """A look that is open, or else a release that will look when it begins."""
    looks = Q(kind=ReleaseKind.INSPECT, state__in=OPEN) | Q(state=State.QUEUED)
    return deployment.releases.filter(looks).order_by("-kind").first()


def _carried(target: Release) -> dict[str, Any]:
    """What a rollback takes over from the release gone back to: its files, plan, variables and commit."""
    names = ("files", "commit", "subject", "author", "plan_data", "facts", "variables")
    return {"back_to": target, **{name: getattr(target, name) for name in names}}


def _refuse_deleted(deployment: Deployment) -> None:
    if deployment.wish == Wish.DELETED:
        raise Conflict(f"{deployment} is being deleted.", hint="Wait until it is gone, then make it again.")
