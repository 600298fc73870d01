"""What each kind of errand does, under the lease of the deployment's lane."""

from __future__ import annotations

from apps.core import dns
from apps.core.access import Capability
from apps.core.errors import Conflict, Refused
from apps.deployments import database_lane, domains, running
from apps.deployments.errands import Act, Going
from apps.deployments.models import Deployment, ErrandKind, Release, Wish

NOTHING_LIVE = "Nothing is live; it applies with the next release."
STOPPED = "It is stopped; it applies when it is started."


def publish(going: Going) -> str:
    """Have the web server serve what is live as it is wanted now. Again: nothing."""
    release = going.deployment.live
    if release is None:
        return NOTHING_LIVE
    if _wish(going) == Wish.STOPPED:
        return STOPPED
    going.host.sites.publish(running.site(release))
    return "The site follows it."


def start(going: Going) -> str:
    running.start(going.host, _live(going))
    return "Started."


def stop(going: Going) -> str:
    running.stop(going.host, _live(going))
    database_lane.retire(going.host, going.deployment)
    return "Stopped."


def restart(going: Going) -> str:
    if _wish(going) == Wish.STOPPED:
        raise Conflict(f"{going.deployment} is stopped.", hint="Start it instead.", code="stopped")
    running.restart(going.host, _live(going))
    database_lane.retire(going.host, going.deployment)
    return "Restarted."


def check(going: Going) -> str:
    """Ask the DNS about every domain; what is proven by this is served from now on."""
    where = domains.place(going.host)
    proven: list[str] = []
    refused: list[Refused] = []
    for domain in going.deployment.domains.select_related("deployment__team"):
        try:
            if domains.check(domain, where, dns.ask):
                proven.append(domain.name)
        except Refused as error:
            refused.append(error)
    if proven:
        choose_primary(going.deployment)
        publish(going)
    if refused:
        raise refused[0]
    return f"Proven: {', '.join(proven)}." if proven else "Looked."


def choose_primary(deployment: Deployment) -> None:
    """The first domain that counts is the primary one, until somebody chooses another."""
    rows = deployment.domains.filter(proven_at__isnull=False)
    if not rows.filter(primary=True).exists() and (first := rows.order_by("proven_at", "pk").first()) is not None:
        rows.filter(pk=first.pk).update(primary=True)


def _live(going: Going) -> Release:
    release = going.deployment.live
    if release is None:
        raise Conflict(f"{going.deployment} has no live release.", hint="Deploy it first.", code="nothing_live")
    return release


def _wish(going: Going) -> str:
    """As it is now, not as it was when the lane was taken."""
    return str(Deployment.objects.values_list("wish", flat=True).get(pk=going.deployment.pk))


KINDS: dict[ErrandKind, tuple[Capability, Act]] = {
    ErrandKind.PUBLISH: (Capability.CONFIGURE, publish),
    ErrandKind.START: (Capability.DEPLOY, start),
    ErrandKind.STOP: (Capability.DEPLOY, stop),
    ErrandKind.RESTART: (Capability.DEPLOY, restart),
    ErrandKind.CHECK: (Capability.VIEW, check),
}
