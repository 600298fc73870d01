"""What each kind of errand does, under the lease of the deployment's lane."""

from __future__ import annotations

from contextlib import suppress

from apps.core import dns
from apps.core.access import Capability
from apps.core.clock import now
from apps.core.errors import Conflict, Refused
from apps.deployments import certificates, database_lane, domains, handover, running, sites, timers
from apps.deployments.errands import Act, Going
from apps.deployments.models import Certificate, Deployment, ErrandKind, Release, State, Wish
from webops_host.certificate_values import PrivateKey
from webops_host.errors import HostError
from webops_host.site_options import Cdn

NOTHING_LIVE = "Nothing is live; it applies with the next release."
STOPPED = "It is stopped; it applies when it is started."


def publish(going: Going) -> str:
    """Have the web server serve what is live as it is wanted now. Again: nothing."""
    release = going.deployment.live
    if release is None:
        return NOTHING_LIVE
    if _wish(going) == Wish.STOPPED:
        return STOPPED
    site = running.site(release)
    handover.patiently(going.errand, lambda: going.host.sites.publish(site))
    return "The site follows it."


def start(going: Going) -> str:
    release = _live(going)
    handover.patiently(going.errand, lambda: running.start(going.host, release))
    timers.arrange(going.host, _live(going))
    return "Started."


def stop(going: Going) -> str:
    timers.hold(going.host, going.deployment)
    running.stop(going.host, _live(going))
    handover.let_go(going.deployment)
    database_lane.retire(going.host, going.deployment)
    return "Stopped."


def restart(going: Going) -> str:
    if _wish(going) == Wish.STOPPED:
        raise Conflict(f"{going.deployment} is stopped.", hint="Start it instead.", code="stopped")
    release = _live(going)
    handover.patiently(going.errand, lambda: running.restart(going.host, release))
    timers.arrange(going.host, _live(going))
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
    if sites.kept(going.deployment).cdn is not Cdn.NONE:
        with suppress(HostError):  # where it can not be asked, it stays open
            domains.settle(going.deployment, going.host.certificates.check(going.deployment.slug))
    if refused:
        raise refused[0]
    said = [f"Proven: {', '.join(proven)}."] if proven else []
    return " ".join([*said, secure(going)]).strip() or "Looked."


def secure(going: Going) -> str:
    """Have a certificate for the names that lead here and have none yet, unless asking failed lately. What the
    authority says no to is kept with the certificate and is no failure of the look."""
    if going.deployment.live is None or _wish(going) == Wish.STOPPED:
        return ""
    if going.errand.by_platform and going.deployment.releases.filter(state=State.QUEUED).exists():
        return "A release waits; certificates are looked at after it."
    row = certificates.refresh(going.deployment, going.host)
    if row is None or (row.next_try_at and row.next_try_at > now()):
        return ""
    where = domains.place(going.host)
    away = {one.name for one in going.deployment.domains.all() if not domains.points_here(one, where)}
    if not set(row.lacking) - away:
        return ""
    try:
        row = certificates.keep(going.deployment, going.host.certificates.issue(going.deployment.slug, going.console()))
    except HostError as error:
        certificates.refresh(going.deployment, going.host)
        return f"No certificate for every name yet: {error.message}"
    return _said(row, "The certificate is there.")


def issue(going: Going) -> str:
    try:
        row = certificates.keep(going.deployment, going.host.certificates.issue(going.deployment.slug, going.console()))
    except HostError:
        certificates.refresh(going.deployment, going.host)
        raise
    until = f", until {row.not_after:%-d %B %Y}" if row.not_after else ""
    return _said(row, f"The certificate is there{until}.")


def _said(row: Certificate, there: str) -> str:
    lacking = row.lacking
    words = [there] if len(lacking) < len(row.hosts) else []
    return " ".join([*words, f"There is none yet for {', '.join(lacking)}."] if lacking else words)


def upload(going: Going) -> str:
    chain, key = going.errand.arguments["chain"], PrivateKey(going.errand.secret)
    certificates.keep(going.deployment, going.host.certificates.upload(going.deployment.slug, chain, key))
    return "The uploaded certificate is in use."


def withdraw(going: Going) -> str:
    going.host.certificates.remove(going.deployment.slug)
    certificates.refresh(going.deployment, going.host)
    return "The uploaded certificate is not used any more."


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
    ErrandKind.ISSUE: (Capability.CONFIGURE, issue),
    ErrandKind.UPLOAD: (Capability.CONFIGURE, upload),
    ErrandKind.WITHDRAW: (Capability.CONFIGURE, withdraw),
}
